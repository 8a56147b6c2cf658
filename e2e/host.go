package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// Host is what a machine is to the network: a network namespace with an address of its own. The namespace
// of this process routes it. This needs a process in [OwnNetwork].
type Host struct {
	IP  string
	pid int // a process of its namespace
}

// vendorURL is the real vendor's address, as users have it.
const vendorURL = "https://wv{server}.wolkvox.com"

// hosts and vendors count those that were made so far: each gets addresses of its own.
var hosts, vendors atomic.Int32

// NewHost makes a host that ends with the test. Call StartVendorForHosts first: to the host, the names of the
// real vendor are the lab's vendor.
func (l *Lab) NewHost() *Host {
	tb := l.TB
	tb.Helper()
	n := int(hosts.Add(1))
	if n > 255*64-1 {
		tb.Fatal("no addresses are left")
	}
	var names strings.Builder
	names.WriteString("127.0.0.1 localhost\n")
	for i := range 100 {
		fmt.Fprintf(&names, "%s %s\n", l.Vendor.IP, strings.ReplaceAll(strings.TrimPrefix(vendorURL, "https://"), "{server}", fmt.Sprintf("%04d", i)))
	}
	pid := holdNamespace(tb, l.File(l.name("hosts"), names.String()))
	near, far := fmt.Sprintf("198.18.%d.%d", n/64, n%64*4+1), fmt.Sprintf("198.18.%d.%d", n/64, n%64*4+2)
	h := &Host{IP: far, pid: pid}
	link := fmt.Sprint("host", n)
	within := strings.Join(h.within(), " ")
	command(tb, fmt.Sprintf(`set -e
ip link add %[1]s type veth peer name eth0 netns %[2]d
ip addr add %[3]s/30 dev %[1]s
ip link set %[1]s up
%[5]s ip link set lo up
%[5]s ip addr add %[4]s/30 dev eth0
%[5]s ip link set eth0 up
%[5]s ip route add default via %[3]s`, link, pid, near, far, within))
	return h
}

func (h *Host) within() []string {
	return []string{"nsenter", "--target", fmt.Sprint(h.pid), "--net", "--mount", "--"}
}

// Place is where a redis-server of this host runs.
func (h *Host) Place() *redistest.Place { return &redistest.Place{IP: h.IP, Within: h.within()} }

// Lose silently drops all packets from one address to another, as a broken network does. More narrows this, in
// iptables' syntax. The function that it returns ends it.
func Lose(tb testing.TB, from, to string, more ...string) (heal func()) {
	tb.Helper()
	rule := strings.Join(append([]string{"-s", from, "-d", to}, more...), " ") + " -j DROP"
	change := func(how string) {
		tb.Helper()
		var all []string
		for _, chain := range []string{"INPUT", "OUTPUT", "FORWARD"} {
			all = append(all, fmt.Sprintf("iptables -w %s %s %s", how, chain, rule))
		}
		command(tb, strings.Join(all, " && "))
	}
	change("-I")
	return func() { tb.Helper(); change("-D") }
}

// LoseBoth is Lose both ways.
func LoseBoth(tb testing.TB, a, b string) (heal func()) {
	tb.Helper()
	there, back := Lose(tb, a, b), Lose(tb, b, a)
	return func() { tb.Helper(); there(); back() }
}

func command(tb testing.TB, script string) {
	tb.Helper()
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// StartVendorForHosts is StartVendor on an address of its own, over TLS, with a certificate for the real vendor's names.
func (l *Lab) StartVendorForHosts(flags ...string) *Vendor {
	l.TB.Helper()
	n := vendors.Add(1)
	if n > 254 {
		l.TB.Fatal("no addresses are left")
	}
	ip := fmt.Sprint("198.18.255.", n)
	command(l.TB, "ip addr add "+ip+"/32 dev lo")
	cert, key := Certify(l.TB, l.TB.TempDir(), "*.wolkvox.com")
	l.Set("SSL_CERT_FILE", cert)
	v := l.StartVendor(append([]string{"--listen=" + ip + ":443", "--tls-cert=" + cert, "--tls-key=" + key}, flags...)...)
	v.IP, v.URL = ip, vendorURL
	return v
}

// WorkersOn starts n workers on a host and waits until they take calls.
func (l *Lab) WorkersOn(h *Host, n int, env ...string) []*Worker {
	l.TB.Helper()
	var all []*Worker
	for range n {
		args := append(h.within(), l.bin.Worker)
		w := &Worker{lab: l, Process: start(l.TB, l.name("worker"), l.Dir, args[0], l.environ(env...), args[1:]...)}
		l.workers = append(l.workers, w)
		all = append(all, w)
	}
	for _, w := range all {
		w.Ready()
	}
	return all
}

// Use makes everything that starts from now on use another Redis, of any topology. Lab.Redis and
// Client stay those of New.
func (l *Lab) Use(url string) {
	l.TB.Helper()
	l.Set("REDIS_URL", url)
	rdb, err := redisconn.Open(url, redisconn.Options{DialTimeout: time.Second})
	if err != nil {
		l.TB.Fatal(err)
	}
	l.TB.Cleanup(func() { _ = rdb.Close() })
	if l.op, err = control.Open(rdb, "", quota.Settings{}); err != nil {
		l.TB.Fatal(err)
	}
}
