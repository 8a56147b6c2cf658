package browser

import (
	"context"
	"os"
	"os/exec"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Chromium returns the path of the browser; "": there is none.
func Chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// View is how somebody looks at a page.
type View struct {
	Width, Height int64  // in CSS pixels; 0 is 1280 x 900
	Language      string // Accept-Language; "" is en
	Dark          bool
	NoScript      bool
}

// Browser is a Chromium that is running. Close it.
type Browser struct {
	ctx  context.Context
	stop func()
}

// StartBrowser starts a Chromium with a new profile, which is deleted when the browser is closed.
func StartBrowser(ctx context.Context) (*Browser, error) {
	profile, err := os.MkdirTemp("", "habilita-chromium-")
	if err != nil {
		return nil, err
	}
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(Chromium()), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx, opts...)
	first, stopFirst := chromedp.NewContext(alloc)
	b := &Browser{ctx: first, stop: func() {
		_ = chromedp.Cancel(first) // waits until it has ended
		stopFirst()
		stopAlloc()
		_ = os.RemoveAll(profile)
	}}
	if err := chromedp.Do(first); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// Close ends the browser.
func (b *Browser) Close() { b.stop() }

// Tab opens a tab with a view; closeTab closes it.
func (b *Browser) Tab(v View) (tab context.Context, closeTab func(), err error) {
	tab, closeTab = chromedp.NewContext(b.ctx)
	if v.Width == 0 {
		v.Width, v.Height = 1280, 900
	}
	if v.Language == "" {
		v.Language = "en"
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	err = chromedp.Do(tab,
		Size(v.Width, v.Height),
		call(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "habilita-test", AcceptLanguage: v.Language}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.NoScript}),
	)
	if err != nil {
		closeTab()
	}
	return tab, closeTab, err
}

// Size sets the size of a tab's window, in CSS pixels.
func Size(width, height int64) chromedp.Action[chromedp.Void] {
	return call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
}

// call makes an action of a protocol command.
func call[P, R any](cmd cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cmd, params)
		return err
	})
}

// Picture returns a PNG of a tab: the whole page, or what fits the window.
func Picture(tab context.Context, all bool) ([]byte, error) {
	p := page.CaptureScreenshotParams{CaptureBeyondViewport: &all}
	if all {
		size, err := chromedp.Run(tab, chromedp.Evaluate[[]float64](
			"[document.documentElement.clientWidth, Math.min(2400, document.documentElement.scrollHeight)]"))
		if err != nil {
			return nil, err
		}
		p.Clip = &page.Viewport{Width: size[0], Height: size[1], Scale: 1}
	}
	r, err := chromedp.Call(tab, page.CaptureScreenshot, p)
	return r.Data, err
}
