package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Binaries are the paths of the programs under test.
type Binaries struct {
	Worker, Enqueue, Simulate string
}

// RaceEnv is the environment variable that, set to 1, builds the binaries with the race
// detector.
const RaceEnv = "HABILITA_LAB_RACE"

// Root is the folder of the module whose programs are under test.
var Root = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "habilita").Output()
	if err != nil {
		return "", fmt.Errorf("the module's folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

var built = sync.OnceValues(build)

// Build builds the binaries, once per process, into a temporary directory that Remove
// deletes. It needs the go command and the module's source.
func Build() (Binaries, error) { return built() }

var buildDir string

// Remove deletes what Build made. Call it at the end of TestMain.
func Remove() {
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
}

// binariesEnv names a directory that has the binaries already.
const binariesEnv = "HABILITA_LAB_BINARIES"

func build() (Binaries, error) {
	if dir := os.Getenv(binariesEnv); dir != "" {
		return binariesIn(dir), nil
	}
	dir, err := os.MkdirTemp("", "habilita-lab-")
	if err != nil {
		return Binaries{}, err
	}
	buildDir = dir
	b := binariesIn(dir)
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if os.Getenv(RaceEnv) == "1" {
		args = append(args, "-race")
	}
	args = append(args, "habilita/cmd/worker", "habilita/cmd/enqueue", "habilita/internal/testkit/wolkvoxtest/simulate")
	cmd := exec.Command("go", args...)
	if cmd.Dir, err = Root(); err != nil {
		return b, err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return b, nil
}

func binariesIn(dir string) Binaries {
	return Binaries{Worker: filepath.Join(dir, "worker"), Enqueue: filepath.Join(dir, "enqueue"), Simulate: filepath.Join(dir, "simulate")}
}
