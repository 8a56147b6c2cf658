package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	logging.Disable() // servers are killed here on purpose
	code := m.Run()
	Remove()
	os.Exit(code)
}

func good(i int) string { return fmt.Sprintf("token-%04d", i) }
