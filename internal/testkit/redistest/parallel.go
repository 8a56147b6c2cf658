package redistest

import (
	"flag"
	"runtime"
)

// Parallel is for the TestMain of a package whose parallel tests mostly wait in real time, for leases
// and for nodes of Redis: at least four of them run at once on small machines too, unless
// -parallel says otherwise.
func Parallel() {
	flag.Parse()
	if p := flag.Lookup("test.parallel"); runtime.GOMAXPROCS(0) < 4 && p.Value.String() == p.DefValue {
		_ = p.Value.Set("4")
	}
}
