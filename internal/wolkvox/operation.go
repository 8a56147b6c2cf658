package wolkvox

import (
	"errors"
	"net/http"
)

// Operation is one of the vendor's calls. Another one is a file like
// enable_module.go; calls with a body or parameters of their own are not made yet.
type Operation struct {
	// API is the call's name, the value of the query's api parameter: letters,
	// digits and underscores, such as "enable_module".
	API string
	// Method is the HTTP method, PUT where it is empty. No method is ever
	// sent twice, GET included.
	Method string
	// Script is the file under /api/v2/, "configuration.php" where it is empty.
	Script string
}

func (o Operation) method() string {
	if o.Method == "" {
		return http.MethodPut
	}
	return o.Method
}

func (o Operation) script() string {
	if o.Script == "" {
		return "configuration.php"
	}
	return o.Script
}

var errOperation = errors.New("operation without a proper API, script or method")

// validate refuses what would change the request's path, query or framing.
func (o Operation) validate() error {
	if !plainWord(o.API, "") || !plainWord(o.script(), ".") {
		return errOperation
	}
	switch o.method() {
	case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete:
		return nil
	}
	return errOperation
}

// plainWord reports whether s is made of letters, digits, underscores and extra.
func plainWord(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		ok := c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok && (extra == "" || c != extra[0]) {
			return false
		}
	}
	return s != ""
}
