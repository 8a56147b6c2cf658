package browser

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"
)

// Until waits until a JavaScript expression is true in the tab, even if a page loads
// meanwhile. After ctx has ended, the error shows what the page says then.
func Until(tab context.Context, patience time.Duration, expression string) error {
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	look := fmt.Sprintf(`new Promise(done => {
		const began = Date.now();
		const look = () => { try { if (%s) return done(true); } catch {} Date.now() - began > 1000 ? done(false) : setTimeout(look, 20); };
		look();
	})`, expression)
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](look, chromedp.EvalAwaitPromise))
		if ok && err == nil {
			return nil
		}
		if ctx.Err() != nil {
			text, _ := chromedp.Run(tab, chromedp.Evaluate[string]("document.body.innerText.slice(0, 2000)"))
			return fmt.Errorf("never came: %s; the page says: %s", expression, text)
		}
	}
}
