package browser_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"habilita/e2e/browser"
	"habilita/internal/control"
	"habilita/internal/schedule"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/web/console/consoletest"
	"habilita/internal/web/guard"
)

// start starts a Chromium for the test. If there is none, the test is skipped.
func start(t *testing.T) *browser.Browser {
	t.Helper()
	if browser.Chromium() == "" {
		if os.Getenv("HABILITA_REQUIRE_CHROMIUM") == "1" {
			t.Fatal("HABILITA_REQUIRE_CHROMIUM=1, and there is no chromium")
		}
		t.Skip("there is no chromium (apt-get install -y chromium)")
	}
	b, err := browser.StartBrowser(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// tab is a page that somebody looks at.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func look(t *testing.T, b *browser.Browser, v browser.View, url string) tab {
	t.Helper()
	ctx, done, err := b.Tab(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	p := tab{t, ctx}
	p.complains()
	p.do(chromedp.Navigate(url))
	return p
}

// complains fails the test if the page has an error, for example one of its content policy.
func (p tab) complains() {
	said := chromedp.Console(p.ctx)
	go func() {
		for m, err := range said {
			if err != nil {
				return
			}
			// The browser also reports what is missing or away.
			if m.Type != "debug" && m.Type != "info" && !strings.Contains(m.Text, "Failed to load resource") {
				p.t.Errorf("the browser says: %s: %s", m.Type, m.Text)
			}
		}
	}()
}

func (p tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, consoletest.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p tab) until(expression string) {
	p.t.Helper()
	if err := browser.Until(p.ctx, consoletest.Patience, expression); err != nil {
		p.t.Fatal(err)
	}
}

func (p tab) text(selector string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, consoletest.Patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Text(selector))
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// says returns an expression that is true if the page's text contains this.
func says(text string) string {
	return "document.querySelector('main').innerText.includes(" + quote(text) + ")"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }

// clicked follows a link or presses a button by its text.
func (p tab) clicked(text string) {
	p.t.Helper()
	p.until("[...document.querySelectorAll('main a, main button')].some(e => e.innerText.trim() === " + quote(text) + ")")
	p.do(chromedp.Click("//main//*[self::a or self::button][normalize-space()='" + text + "']"))
}

// One story goes from nothing to a batch that is done: all of it by events, with no reload.
func TestABatchIsFollowedAndDecidedInABrowser(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{Vendor: consoletest.Strict(), Who: guard.Principal{Name: "ana", CanWrite: true}})
	p := look(t, b, browser.View{}, w.URL)
	p.until(says("No batch yet"))
	p.do(evaluate("window.before = true"))

	w.Vendor.Hold()
	w.Enqueue(t, "november", "good-1", 4)
	p.until(says("november"))
	p.until("document.querySelector('.percent').innerText === '0 %'")
	for _, width := range []string{"250", "500"} { // the bar moves
		w.Vendor.ReleaseOne()
		p.until("document.querySelector('[data-key=november] rect.succeeded').getAttribute('width') === " + quote(width))
	}
	w.Vendor.Release()
	p.until("document.querySelector('[data-key=november] .chip').innerText === 'done'")
	p.until("window.before === true") // it is still the same page

	w.Enqueue(t, "december", "bad-1", 3)
	p.until("document.querySelector('[data-key=december] .chip')?.innerText === '1 chain held'")
	p.until("document.querySelector('.badge').innerText === '1'")
	p.until("document.querySelector('.tile.alarm b').innerText === '1'")
	p.until("window.before === true")

	p.do(chromedp.Click(`nav a[href="/chains"]`))
	p.until(says("The vendor does not accept this token"))
	p.until(says("403 PLEASE VALIDATE TOKEN"))
	p.clicked("Retry")
	p.until(says("Try this call again?"))
	p.clicked("No, go back")
	p.until(says("does not accept this token"))
	p.until("document.title.startsWith('(1) ')")
	p.until("![...document.querySelectorAll('main a')].some(e => e.innerText === 'Skip')") // the next call would be refused too
	p.clicked("Cancel")
	p.clicked("Yes, cancel")
	p.until(says("3 calls were cancelled."))
	p.until(says("Nothing is held"))
	p.until("!document.title.startsWith('(')")
	p.do(chromedp.Reload())
	p.until(says("Nothing is held"))
	p.until("!" + says("3 calls were cancelled."))
	p.do(chromedp.Click(`nav a[href="/actions"]`))
	p.until(says("ana"))
	if s := w.Settled(t, "december"); s.Cancelled != 3 {
		t.Errorf("%+v", s)
	}
	logPage, err := w.Actions.Before(t.Context(), "", 9)
	log := logPage.Items
	if err != nil || len(log) != 1 {
		t.Errorf("%+v %v", log, err)
	}
}

func TestRetryInABrowser(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{Vendor: consoletest.Strict()})
	w.Enqueue(t, "one", "bad-1", 2)
	w.Settled(t, "one")
	p := look(t, b, browser.View{Language: "es-CO"}, w.URL+"/batches/one")
	p.until(says("1 cadena de este lote espera a una persona"))
	w.Vendor.SetToken("bad-1", wolkvoxtest.Token{})
	p.clicked("Reintentar lo retenido")
	p.until(says("¿Reintentar todo lo retenido de este lote?"))
	p.clicked("Sí, reintentar")
	p.until(says("Se reintenta 1 cadena."))
	p.until("document.querySelector('.titled .chip').innerText === 'terminado'")
	p.until("document.querySelector('.summary .percent').innerText === '100 %'")
}

// A page that nobody reloads says when Redis is away, and goes on when it is back.
func TestRedisGoesAndComesBackInABrowser(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{NoWorker: true})
	w.Enqueue(t, "one", "good-1", 2)
	p := look(t, b, browser.View{}, w.URL)
	p.until(says("one"))
	w.Redis.SetError("LOADING Redis is loading the dataset in memory")
	p.until("!document.querySelector('[data-away]').hidden")
	p.until(says("one")) // what was seen stays
	p.do(chromedp.Navigate(w.URL + "/chains"))
	p.until(says("Redis does not answer"))
	w.Redis.SetError("")
	p.until(says("Nothing is held")) // it loaded itself again
}

// Without JavaScript everything works, with reloads and with pages that ask for confirmation.
func TestWithoutJavaScript(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{Vendor: consoletest.Strict()})
	w.Enqueue(t, "one", "bad-1", 2)
	w.Settled(t, "one")
	p := look(t, b, browser.View{NoScript: true}, w.URL+"/chains")
	p.do(chromedp.Click("//a[normalize-space()='Cancel']"), chromedp.WaitVisible("//button[normalize-space()='Yes, cancel']"),
		chromedp.Click("//button[normalize-space()='Yes, cancel']"), chromedp.WaitVisible(".notice"))
	if got := p.text(".notice"); !strings.Contains(got, "2 calls were cancelled.") {
		t.Errorf("got %q", got)
	}
}

func evaluate(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		return err
	})
}

// wide starts a console whose pages have much text, some of it long.
func wide(t *testing.T) (w *consoletest.Stage, pages []string) {
	t.Helper()
	w = consoletest.Start(t, consoletest.Options{Vendor: consoletest.Strict()})
	const long = "a-batch-whose-name-is-so-long-that-it-does-not-fit-on-a-phone-in-one-line-whatever-one-does"
	w.Enqueue(t, long, "down-1", 30)
	w.Enqueue(t, "one", "bad-1", 3)
	w.Enqueue(t, "one", "bad-2", 3)
	w.Enqueue(t, "one", "down-2", 1)
	w.Settled(t, "one")
	w.Settled(t, long)
	for i, state := range []string{"open", "half_open", "closed"} {
		if err := w.Server(t.Context(), fmt.Sprintf("%04d", 42+i), state, 123456, 40000); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Actions.Append(t.Context(), consoletest.Entry(strings.Repeat("wide", 40))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Actions.Append(t.Context(), consoletest.Entry("carlos@portatil")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []schedule.Definition{{Name: "nightly", Cron: "0 2 * * *", Timezone: "America/Bogota", Source: "operaciones.csv"},
		{Name: "another", Cron: "0 2 * * *", Timezone: "America/Argentina/ComodRivadavia", Source: strings.Repeat("long-", 20) + ".csv"}} {
		if err := w.Schedules.Put(t.Context(), d, 96, "made-up", false); err != nil {
			t.Fatal(err)
		}
	}
	return w, append(consoletest.Pages(), "/batches/one?state=failed", "/batches/"+long, "/chains?cause=bad_token", "/chains?batch="+long,
		"/decide?do=skip&cause=bad_token&batch=one")
}

// fits is an expression that returns what is wrong with how the page fits its window. Nothing may be wider than
// the window or its column, no word may be broken, and the navigation must show the current page.
const fits = `(() => {
  const bad = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const widest = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.sr, .skip'));
    bad.push('scrolls to ' + root.scrollWidth + ': ' + widest.slice(-3).map(e => e.tagName + '.' + e.className).join(' '));
  }
  const main = document.querySelector('main'), style = getComputedStyle(main);
  const edge = main.getBoundingClientRect().right - parseFloat(style.paddingRight);
  for (const e of main.querySelectorAll('table, .card, .filter, .tiles')) {
    const right = e.getBoundingClientRect().right;
    if (right > edge + 1) bad.push(e.tagName + '.' + e.className + ' is ' + Math.round(right - edge) + ' wider than the page');
  }
  const here = document.querySelector('nav a[aria-current]');
  if (here) { const r = here.getBoundingClientRect(); if (r.left < 0 || r.right > root.clientWidth || r.top < 0) bad.push('the current page is out of sight'); }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = texts.nextNode();) {
    if (!n.data.trim() || n.parentElement.closest('.sr, .skip, noscript, script, code, pre')) continue;
    for (const m of n.data.matchAll(/\p{L}[\p{L}@]{1,21}/gu)) {
      if (/[^\s(]$/.test(n.data.slice(0, m.index)) || /^[-_/.:@\p{L}]/u.test(n.data.slice(m.index + m[0].length))) continue;
      const range = document.createRange();
      range.setStart(n, m.index);
      range.setEnd(n, m.index + m[0].length);
      const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (lines.size > 1) bad.push('broken: ' + m[0]);
    }
  }
  return bad.slice(0, 5);
})()`

// Nothing scrolls sideways at any width, and no word breaks that has room.
func TestPagesFitEveryWidth(t *testing.T) {
	b := start(t)
	w, pages := wide(t)
	for _, language := range []string{"en", "es"} {
		p := look(t, b, browser.View{Language: language}, w.URL)
		for _, path := range pages {
			p.do(browser.Size(1280, 900), chromedp.Navigate(w.URL+path))
			for width := int64(320); width <= 1440; width += 20 {
				p.do(browser.Size(width, 900))
				ctx, cancel := context.WithTimeout(p.ctx, consoletest.Patience)
				bad, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](fits))
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range bad {
					t.Errorf("%s %s at %d: %s", language, path, width, s)
				}
			}
		}
	}
}

// The dark scheme is dark, even on a phone.
func TestPhoneAndDark(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{NoWorker: true})
	backgrounds := map[bool]string{}
	for _, v := range []browser.View{{Width: 390, Height: 844, Language: "es"}, {Width: 390, Height: 844, Dark: true}} {
		p := look(t, b, v, w.URL)
		ctx, cancel := context.WithTimeout(p.ctx, consoletest.Patience)
		defer cancel()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string]("getComputedStyle(document.body).backgroundColor"))
		if err != nil {
			t.Fatal(err)
		}
		backgrounds[v.Dark] = got
	}
	if backgrounds[true] == backgrounds[false] {
		t.Errorf("dark is as light: %v", backgrounds)
	}
}

// Text has a contrast of at least 4.5 with its background (WCAG AA), in both schemes.
func TestContrast(t *testing.T) {
	b := start(t)
	w, pages := wide(t)
	w.Enqueue(t, "two", "good-1", 3)
	w.Settled(t, "two")
	w.Enqueue(t, "three", "bad-3", 3)
	w.Settled(t, "three")
	if _, err := w.Control.Cancel(t.Context(), control.Selection{Batch: "three"}); err != nil {
		t.Fatal(err)
	}
	for _, dark := range []bool{false, true} {
		p := look(t, b, browser.View{Dark: dark}, w.URL)
		for _, path := range pages {
			p.do(chromedp.Navigate(w.URL + path))
			ctx, cancel := context.WithTimeout(p.ctx, consoletest.Patience)
			bad, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](contrastScript))
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range bad {
				t.Errorf("dark %t, %s: %s", dark, path, s)
			}
		}
	}
}

const contrastScript = `(() => {
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const lum = rgb => { const [r, g, b] = rgb.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const back = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length || e.closest('.sr, .skip, noscript')) continue;
    const a = lum(parse(getComputedStyle(e).color).rgb), b = lum(back(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ' ' + e.innerText.slice(0, 30));
  }
  return bad;
})()`

// A page that a person leaves and comes back to shows what changed meanwhile, and gets events again.
func TestGoingBackListensAgain(t *testing.T) {
	b := start(t)
	w := consoletest.Start(t, consoletest.Options{NoWorker: true})
	p := look(t, b, browser.View{}, w.URL)
	p.until(says("No batch yet"))

	// When a person leaves our pages, the browser keeps few of them (no-store). These are the
	// events of one that it keeps.
	p.do(evaluate(`window.opened = 0, window.EventSource = class extends EventSource {
		constructor(address) { super(address); window.opened++; }
	}, true`))
	p.do(evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"))
	w.Enqueue(t, "kept", "good-1", 1)
	p.do(evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"))
	p.until("window.opened === 1")
	p.until(says("kept"))

	p.do(chromedp.Navigate(w.URL + "/tokens"))
	w.Enqueue(t, "meanwhile", "good-1", 1)
	// Not NavigateBack, which waits for a load: a page that the browser kept has none.
	p.do(evaluate("setTimeout(() => history.back()) > 0"))
	p.until(says("meanwhile"))
	w.Enqueue(t, "later", "good-1", 1)
	p.until(says("later"))
}
