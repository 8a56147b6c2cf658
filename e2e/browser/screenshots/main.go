// Command screenshots makes pictures of every page of the console, in a real Chromium:
// wide and on a phone, light and dark, in English and Spanish. The data in them is made up.
//
//	go run -C e2e ./browser/screenshots -out DIR
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"

	"github.com/chromedp/chromedp"

	"habilita/e2e/browser"
	"habilita/internal/web/console/consoletest"
)

func main() {
	out := flag.String("out", "screenshots", "where the pictures go")
	only := flag.String("only", "", "only those whose name matches this regexp")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *out, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

// shot is a page to take a picture of.
type shot struct{ name, path string }

var views = []struct {
	name string
	browser.View
}{
	{"1440-light-en", browser.View{Width: 1440, Height: 900, Language: "en"}},
	{"1440-light-es", browser.View{Width: 1440, Height: 900, Language: "es"}},
	{"1440-dark-en", browser.View{Width: 1440, Height: 900, Language: "en", Dark: true}},
	{"1440-dark-es", browser.View{Width: 1440, Height: 900, Language: "es", Dark: true}},
	{"768-light-en", browser.View{Width: 768, Height: 1024, Language: "en"}},
	{"768-light-es", browser.View{Width: 768, Height: 1024, Language: "es"}},
	{"768-dark-en", browser.View{Width: 768, Height: 1024, Language: "en", Dark: true}},
	{"768-dark-es", browser.View{Width: 768, Height: 1024, Language: "es", Dark: true}},
	{"390-light-en", browser.View{Width: 390, Height: 844, Language: "en"}},
	{"390-light-es", browser.View{Width: 390, Height: 844, Language: "es"}},
	{"390-dark-en", browser.View{Width: 390, Height: 844, Language: "en", Dark: true}},
	{"390-dark-es", browser.View{Width: 390, Height: 844, Language: "es", Dark: true}},
}

func run(ctx context.Context, out, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if browser.Chromium() == "" {
		return fmt.Errorf("there is no chromium: apt-get install -y chromium")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	b, err := browser.StartBrowser(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, scene := range []func(context.Context) (*consoletest.Stage, []shot, error){empty, busy, away} {
		if err := play(ctx, b, scene, out, wanted); err != nil {
			return err
		}
	}
	return nil
}

func play(ctx context.Context, b *browser.Browser, scene func(context.Context) (*consoletest.Stage, []shot, error), out string, wanted *regexp.Regexp) error {
	stage, shots, err := scene(ctx)
	if stage != nil {
		defer stage.Close()
	}
	if err != nil {
		return err
	}
	for _, s := range shots {
		for _, v := range views {
			name := s.name + "-" + v.name + ".png"
			if !wanted.MatchString(name) {
				continue
			}
			if err := take(b, v.View, stage.URL+s.path, filepath.Join(out, name)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Println(name)
		}
	}
	return nil
}

func take(b *browser.Browser, v browser.View, url, file string) error {
	tab, done, err := b.Tab(v)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.WaitReady("main")); err != nil {
		return err
	}
	// A rate is known when a batch was looked at twice, 300 ms apart.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("new Promise(done => setTimeout(() => done(true), 300))", chromedp.EvalAwaitPromise)); err != nil {
		return err
	}
	picture, err := browser.Picture(ctx, true)
	if err != nil {
		return err
	}
	return os.WriteFile(file, picture, 0o644)
}
