package console

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// languages are the languages of the pages; the first is for people who ask for none of them.
var languages = []language.Tag{language.English, language.Spanish}

var matcher = language.NewMatcher(languages)

// pick returns the language that an Accept-Language header asks for: "en" or "es".
func pick(header string) string {
	wanted, _, _ := language.ParseAcceptLanguage(header) // none at all where it can't be read
	_, i, _ := matcher.Match(wanted...)
	return languages[i].String()
}

// text is one entry of a file of texts: a form for all numbers, or one for each kind of
// the first number in it.
type text struct{ One, Other string }

func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, &t.Other)
	}
	type forms text // without this method
	return json.Unmarshal(b, (*forms)(t))
}

func readTexts(lang string) (texts map[string]text) {
	ensure(json.Unmarshal(must(textFiles.ReadFile("texts/"+lang+".json")), &texts))
	return texts
}

// words says things in one language.
type words struct {
	lang    string
	texts   map[string]text
	printer *message.Printer
	zone    *time.Location
}

func loadWords(lang string, zone *time.Location) *words {
	texts, tag := readTexts(lang), language.MustParse(lang)
	c := catalog.NewBuilder(catalog.Fallback(tag))
	for key, t := range texts {
		if t.One == "" {
			ensure(c.SetString(tag, key, t.Other))
		} else {
			ensure(c.Set(tag, key, plural.Selectf(1, "", plural.One, t.One, plural.Other, t.Other)))
		}
	}
	return &words{lang: lang, texts: texts, printer: message.NewPrinter(tag, message.Catalog(c)), zone: zone}
}

// say returns the text of a key with its arguments. If there is no such key, that is an error.
func (w *words) say(key string, args ...any) (string, error) {
	if _, ok := w.texts[key]; !ok {
		return "", fmt.Errorf("console: no text %q in %s", key, w.lang)
	}
	return w.printer.Sprintf(key, args...), nil
}

// sayOr is say, or the other text if there is no such key.
func (w *words) sayOr(key, other string, args ...any) string {
	if s, err := w.say(key, args...); err == nil {
		return s
	}
	return other
}

// number prints a number as the language does.
func (w *words) number(n any) string { return w.printer.Sprint(n) }

// moment is a point in time as pages show it.
type moment struct {
	Machine string // for programs
	Exact   string // to the second, with the zone
	Near    string // against now, in words
	Clock   string // the hour; where that is not enough, the day too
}

// when shows a time, also relative to now; nil for none.
func (w *words) when(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{
		Machine: t.UTC().Format(time.RFC3339),
		Exact:   t.In(w.zone).Format("2006-01-02 15:04:05 -07:00"),
		Near:    w.near(t.Sub(now)),
		Clock:   t.In(w.zone).Format(clockFor(t.Sub(now).Abs())),
	}
}

// whenIn is when in another zone, or in that of the pages if there is no zone of that name.
func (w *words) whenIn(t, now time.Time, zone string) *moment {
	there := *w
	if z, err := time.LoadLocation(zone); err == nil {
		there.zone = z
	}
	return there.when(t, now)
}

// startsAt says when a batch that was put off begins: the hour, and the day if it is not
// today.
func (w *words) startsAt(t, now time.Time) string {
	t, now = t.In(w.zone), now.In(w.zone)
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return w.sayOr("batch.putoff", "", t.Format("15:04"))
	}
	return w.sayOr("batch.putoff.day", "", t.Format("2006-01-02 15:04"))
}

// clockFor is the layout of a time that is this far away.
func clockFor(d time.Duration) string {
	switch {
	case d < 10*time.Minute:
		return "15:04:05"
	case d < 24*time.Hour:
		return "15:04"
	}
	return "2006-01-02 15:04"
}

// near is a distance in time, in the words for the past or the future.
func (w *words) near(d time.Duration) string {
	key := "time.in"
	if d <= 0 {
		key, d = "time.ago", -d
	}
	if d < 2*time.Second {
		return w.sayOr("time.now", "")
	}
	return w.sayOr(key, "", w.long(d))
}

// long is a length of time, in its largest unit or two.
func (w *words) long(d time.Duration) string {
	const day = 24 * time.Hour
	unit := func(name string, n time.Duration) string {
		return w.sayOr("time."+name, "", int(n))
	}
	switch {
	case d < time.Minute:
		return unit("seconds", max(1, d/time.Second))
	case d < time.Hour:
		return unit("minutes", d/time.Minute)
	case d < day:
		s := unit("hours", d/time.Hour)
		if m := d % time.Hour / time.Minute; m > 0 && d < 10*time.Hour {
			s += " " + unit("minutes", m)
		}
		return s
	}
	return unit("days", d/day)
}
