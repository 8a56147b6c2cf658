package console

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"
	"unicode"

	"golang.org/x/net/html"
)

func TestLanguageOfTheBrowser(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "es": "es", "es-CO,es;q=0.9,en;q=0.8": "es", "en-GB,en;q=0.9,es;q=0.8": "en", "es-419": "es",
		"de-DE,de;q=0.9": "en", "de,es;q=0.5": "es", "*": "en", "pt-BR,es;q=0.7,en;q=0.3": "es", ";;;": "en",
		strings.Repeat("x,", 5000): "en", "en;q=0.1,es;q=0.9": "es",
	} {
		if got := pick(header); got != want {
			t.Errorf("%.40q: got %s, want %s", header, got, want)
		}
	}
}

// placeholder is where a text takes an argument.
var placeholder = regexp.MustCompile(`%\[\d+\][a-z]|%[a-z]`)

func TestBothLanguagesSayTheSame(t *testing.T) {
	en := readTexts("en")
	es := readTexts("es")
	for key, a := range en {
		b, ok := es[key]
		if !ok {
			t.Errorf("%s is missing in Spanish", key)
			continue
		}
		if (a.One == "") != (b.One == "") {
			t.Errorf("%s has forms for numbers in one language alone", key)
		}
		for _, form := range []string{a.One, a.Other, b.One, b.Other} {
			if form != "" && !slices.Equal(places(form), places(a.Other)) {
				t.Errorf("%s: %q takes other arguments than %q", key, form, a.Other)
			}
		}
		if strings.TrimSpace(a.Other) == "" || strings.TrimSpace(b.Other) == "" {
			t.Errorf("%s is empty", key)
		}
	}
	for key := range es {
		if _, ok := en[key]; !ok {
			t.Errorf("%s is missing in English", key)
		}
	}
}

func places(s string) []string {
	found := placeholder.FindAllString(s, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestNumbersAndTimesOfALanguage(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"1,234,567", "1 call", "12,000 calls", "3 min ago", "in 2 h 5 min", "just now", "5 days ago", "2.5 a second"},
		"es": {"1.234.567", "1 llamada", "12.000 llamadas", "hace 3 min", "en 2 h 5 min", "ahora mismo", "hace 5 días", "2,5 por segundo"},
	} {
		w := loadWords(lang, time.UTC)
		one, _ := w.say("count.calls", 1)
		many, _ := w.say("count.calls", 12000)
		v := batchView{PerSecond: 2.5, Rated: true}
		v.Total = 10
		got := []string{w.number(1234567), one, many, w.near(-3*time.Minute - time.Second), w.near(2*time.Hour + 5*time.Minute),
			w.near(0), w.near(-5 * 24 * time.Hour), w.rate(v)}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// All words of a template come from the catalogue, or they would be in only one of the
// two languages.
func TestTemplatesHaveNoTextOfTheirOwn(t *testing.T) {
	files, err := fs.Glob(templateFiles, "templates/*.tmpl")
	if err != nil || len(files) < len(pageNames) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := fs.ReadFile(templateFiles, file)
		if err != nil {
			t.Fatal(err)
		}
		trees := map[string]*parse.Tree{}
		tree := parse.New(file)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(string(raw), "", "", trees); err != nil {
			t.Fatal(err)
		}
		for name, tree := range trees {
			if tree.Root == nil {
				continue
			}
			var b strings.Builder
			written(&b, tree.Root)
			for _, found := range textsOf(t, b.String()) {
				t.Errorf("%s, %s: %q", file, name, found)
			}
		}
	}
	if found := textsOf(t, `<p title="Hola">·</p><img alt="x"><style>a{}</style>`); len(found) < 2 {
		t.Errorf("the test finds nothing: %q", found)
	}
}

// written collects what a template has besides its actions, in all branches.
func written(b *strings.Builder, n parse.Node) {
	list := func(l *parse.ListNode) {
		if l != nil {
			for _, n := range l.Nodes {
				written(b, n)
			}
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		list(n)
	case *parse.TextNode:
		b.Write(n.Text)
	case *parse.IfNode:
		list(n.List)
		list(n.ElseList)
	case *parse.RangeNode:
		list(n.List)
		list(n.ElseList)
	case *parse.WithNode:
		list(n.List)
		list(n.ElseList)
	}
}

// spoken are the attributes that people read or hear.
var spoken = []string{"title", "alt", "aria-label", "placeholder", "data-label", "label", "style"}

func textsOf(t *testing.T, page string) []string {
	t.Helper()
	var found []string
	// The content of noscript is markup too, but the tokenizer takes it for text.
	page = strings.NewReplacer("<noscript>", "", "</noscript>", "").Replace(page)
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return found
		case html.TextToken:
			if s := string(z.Text()); strings.ContainsFunc(s, unicode.IsLetter) {
				found = append(found, strings.TrimSpace(s))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range z.Token().Attr {
				if slices.Contains(spoken, a.Key) && strings.ContainsFunc(a.Val, unicode.IsLetter) {
					found = append(found, a.Key+"="+a.Val)
				}
			}
		}
	}
}
