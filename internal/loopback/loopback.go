// Package loopback tells this machine from others.
package loopback

import (
	"net"
	"net/netip"
	"strings"
)

// Host reports whether an address, a Host header or the host of a URL, with or without a port, is this machine and
// nobody else's. No name is asked for but localhost.
func Host(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}
