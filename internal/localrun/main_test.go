package localrun

import (
	"os"
	"testing"

	"habilita/internal/testkit/redistest"
)

func TestMain(m *testing.M) {
	redistest.Parallel()
	os.Exit(m.Run())
}
