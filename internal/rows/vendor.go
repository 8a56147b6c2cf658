package rows

import (
	"errors"

	"habilita/internal/wolkvox"
)

// Vendor are the checks of rows that become calls: one for files, HTTP and schedules.
func Vendor() Checks { return Checks{Server: VendorServer, Token: VendorToken} }

// VendorServer gives the canonical form of a server. The error's text is for people, and
// never holds the value.
func VendorServer(s string) (string, error) {
	server, err := wolkvox.ParseServer(s)
	var bad *wolkvox.ServerError
	if errors.As(err, &bad) {
		return "", errors.New(bad.Reason + "; " + wolkvox.ServerForms)
	}
	return string(server), err
}

// VendorToken says whether a text can be a token. The error is as of VendorServer.
func VendorToken(s string) error {
	err := wolkvox.ValidToken(s)
	var bad *wolkvox.TokenError
	if errors.As(err, &bad) {
		return errors.New(bad.Reason)
	}
	return err
}
