package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"sync"
)

// The files that pages are made of are part of the binary. A fault in them shows in the tests, or else as a panic of New.
var (
	//go:embed assets/*
	assetFiles embed.FS
	//go:embed templates/*.tmpl
	templateFiles embed.FS
	//go:embed texts/*.json
	textFiles embed.FS
)

func must[T any](v T, err error) T {
	ensure(err)
	return v
}

func ensure(err error) {
	if err != nil {
		panic("console: " + err.Error())
	}
}

// assetsVersion is part of the address of each file that pages need, so that a browser may
// keep the file and still gets the new one after an upgrade.
var assetsVersion = sync.OnceValue(func() string {
	sum := sha256.New()
	for _, f := range must(assetFiles.ReadDir("assets")) {
		sum.Write(must(assetFiles.ReadFile("assets/" + f.Name())))
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
})

// assetPath is the address of a file that pages need.
func assetPath(name string) (string, error) {
	_, err := fs.Stat(assetFiles, "assets/"+name)
	return "/assets/" + assetsVersion() + "/" + name, err
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	name, version := r.PathValue("name"), r.PathValue("version")
	if _, err := assetPath(name); err != nil {
		c.notFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if version == assetsVersion() {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	h.Set("ETag", `W/"`+assetsVersion()+`"`) // weak, since it may be sent in gzip
	http.ServeFileFS(w, r, assetFiles, "assets/"+name)
}
