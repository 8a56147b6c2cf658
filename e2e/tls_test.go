package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"habilita/internal/testkit/redistest"
)

// A Redis speaks TLS with a certificate of a private authority. Both commands work if SSL_CERT_FILE
// names the authority's certificate, and say so if it does not.
func TestRedisOverTLS(t *testing.T) {
	l := New(t)
	ca, cert, key := certificates(t, l)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	_ = free.Close()
	_, port, _ := net.SplitHostPort(addr)
	redistest.Start(t, "--tls-port", port, "--tls-auth-clients", "no",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--requirepass", "pw")
	l.Set("REDIS_URL", "rediss://:pw@localhost:"+port+"/0")
	l.StartVendor("--latency=0")
	file := l.File("tls.csv", "server,token\n0001,token-a\n0001,token-b\n")
	unknown := "from an authority that this machine does not know"
	if r := l.Enqueue("bulk", file, "--batch", "tls"); r.Exit != 1 || !strings.Contains(r.Stderr, unknown) || !strings.Contains(r.Stderr, "SSL_CERT_FILE") {
		t.Errorf("%s", r)
	}
	w := l.StartWorker()
	w.WaitLine(unknown, Patience)
	if code := w.Wait(Patience); code != 1 {
		t.Errorf("exit %d", code)
	}
	l.Set("SSL_CERT_FILE", ca)
	l.Workers(1)
	l.MustEnqueue("bulk", file, "--batch", "tls", "--wait", "--wait-timeout", "30s", "--progress", "none")
	if st := l.Status("tls"); st.Succeeded != 2 {
		t.Errorf("%+v", st)
	}
	l.Set("REDIS_URL", "rediss://:pw@127.0.0.2:"+port+"/0")
	if r := l.Enqueue("status", "tls"); r.Exit != 1 || strings.Contains(r.Stderr, "pw") {
		t.Errorf("%s", r)
	}
}

// certificates makes an authority, and from it a server's certificate for localhost.
func certificates(t *testing.T, l *Lab) (ca, cert, key string) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	template := func(n int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	file := func(name, kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return l.File(name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	caKey, serverKey := newKey(), newKey()
	authority, server := template(1, "authority"), template(2, "redis")
	authority.IsCA, authority.KeyUsage = true, x509.KeyUsageCertSign
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} // nodes of a cluster are clients of each other
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	ca = file("ca.crt", "CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, server, authority, serverKey.Public(), caKey)
	cert = file("redis.crt", "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(serverKey)
	key = file("redis.key", "PRIVATE KEY", der, err)
	return ca, cert, key
}
