//go:build !linux || 386

package rawconn

import "net"

// Of returns c.
func Of(c net.Conn) net.Conn { return c }
