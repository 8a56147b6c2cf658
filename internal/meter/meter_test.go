package meter

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

func TestLinesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Lines(&out, 3*time.Second, 3*time.Second)
		for _, words := range []string{"too early", "too early", "one", "too soon", "two"} {
			m.Update(0, 0, words)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(time.Minute)
		m.Update(0, 0, "two")
		m.Stop()
		if got := out.String(); got != "one\ntwo\ntwo\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestBarEnds(t *testing.T) {
	var out bytes.Buffer
	Bar(&out, progress.UnitsBytes).Stop() // never drawn
	m := Bar(&out, progress.UnitsDefault)
	m.Log("a line that stays")
	for i := range int64(100) {
		m.Update(i, 100, "of 4 calls")
	}
	m.Update(100, 100, "2 of 4 calls, 1 held")
	m.Stop()
	if got := out.String(); !strings.Contains(got, "a line that stays\n") || !strings.Contains(got, "2 of 4 calls, 1 held") {
		t.Errorf("%q", got)
	}
}
