package engine

import (
	"flag"
	"os"
	"runtime"
	"testing"
)

// Most parallel tests wait for something in real time, so four run at once on small machines too.
func TestMain(m *testing.M) {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); runtime.GOMAXPROCS(0) < 4 && p.Value.String() == p.DefValue {
		_ = p.Value.Set("4")
	}
	os.Exit(m.Run())
}
