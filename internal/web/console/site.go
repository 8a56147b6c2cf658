package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"habilita/internal/control"
)

// pageNames are the pages; each is templates/NAME.tmpl within templates/layout.tmpl.
var pageNames = []string{"batches", "batch", "chains", "decide", "tokens", "servers", "workers", "schedules", "actions", "failure"}

// site is all pages in one language.
type site struct {
	*words
	pages map[string]*template.Template
}

func loadSites(zone *time.Location) map[string]*site {
	sites := map[string]*site{}
	for _, tag := range languages {
		s := &site{words: loadWords(tag.String(), zone), pages: map[string]*template.Template{}}
		shared := must(template.New("").Funcs(s.functions()).ParseFS(templateFiles, "templates/layout.tmpl", "templates/parts.tmpl"))
		for _, name := range pageNames {
			s.pages[name] = must(must(shared.Clone()).ParseFS(templateFiles, "templates/"+name+".tmpl"))
		}
		sites[tag.String()] = s
	}
	return sites
}

// functions are what templates may call.
func (s *site) functions() template.FuncMap {
	return template.FuncMap{
		"t":        s.say,
		"tor":      s.sayOr,
		"num":      s.number,
		"when":     s.when,
		"whenin":   s.whenIn,
		"short":    short,
		"asset":    assetPath,
		"reason":   s.reason,
		"cause":    s.cause,
		"advice":   s.advice,
		"cool":     s.cooling,
		"rate":     s.rate,
		"left":     s.left,
		"address":  address,
		"batch":    batchPath,
		"why":      control.Cause,
		"futile":   futile,
		"slots":    slotMarks,
		"used":     quotaMeter,
		"failing":  serverMeter,
		"target":   s.target,
		"result":   s.result,
		"who":      s.who,
		"options":  options,
		"startsat": s.startsAt,
		"list":     func(all ...any) []any { return all },
	}
}

// render makes a whole page, so that nothing is sent if it fails half way.
func (s *site) render(name string, p *page) ([]byte, error) {
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "layout", p); err != nil {
		return nil, fmt.Errorf("console: page %s in %s: %w", name, s.lang, err)
	}
	return b.Bytes(), nil
}

// option is an option of a command within a text.
var option = regexp.MustCompile(`--[a-z][a-z-]*`)

// options sets the command options in a text as code, so that no line breaks within one.
func options(text string) template.HTML {
	// #nosec G203 -- the text is escaped
	return template.HTML(option.ReplaceAllString(template.HTMLEscapeString(text), `<code class="option">$0</code>`))
}

// short is the beginning of a token's or chain's long name.
func short(id string) string {
	token, name, named := strings.Cut(id, ":")
	token = token[:min(8, len(token))]
	if named {
		return token + ":" + name
	}
	return token
}

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
