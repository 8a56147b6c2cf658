package api

import (
	_ "embed" // the document
	"net/http"
)

// openAPIYAML is what is written by hand; openAPIJSON is made of it by
// go test ./internal/web/api -update, and a test compares them.
var (
	//go:embed openapi.yaml
	openAPIYAML []byte
	//go:embed openapi.json
	openAPIJSON []byte
)

func (a *API) openAPI(contentType string, text []byte) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, err := query(r); err != nil {
			return err
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(text)
		return nil
	}
}
