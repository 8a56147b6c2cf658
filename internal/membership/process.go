package membership

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

// Settings are what processes must agree on, name to value, such as TOKEN_SLOTS to 2. Values
// are compared as text. None may be a secret.
type Settings map[string]string

// Process is one that joined, as the others see it.
type Process struct {
	// ID is unique among processes.
	ID string `json:"id"`
	// Kind is what it is, such as "worker" or "enqueue".
	Kind string `json:"kind"`
	// Host is the name of its machine.
	Host string `json:"host"`
	// PID is its number on that machine.
	PID int `json:"pid"`
	// Started is when it started, by its own clock.
	Started time.Time `json:"started"`
	// Version is the program's.
	Version string `json:"version"`
}

// Self describes this process, with a new ID.
func Self(kind, version string, started time.Time) Process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Process{ID: rand.Text(), Kind: kind, Host: host, PID: os.Getpid(), Started: started.UTC(), Version: version}
}

// String names the process for a person, such as
// "worker on web-1, pid 12, since 2026-11-23T08:00:00Z".
func (p Process) String() string {
	return fmt.Sprintf("%s on %s, pid %d, since %s", p.Kind, p.Host, p.PID, p.Started.UTC().Format(time.RFC3339))
}

// record is what Redis keeps of a process.
type record struct {
	Process
	Settings Settings `json:"terms"`
}
