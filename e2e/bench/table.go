package main

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// figure is one row: how each side is measured, and what is wanted.
type figure struct {
	what, against string
	unit          string  // of the values: /s, ms, bytes, %, calls
	less          bool    // less is better
	floor         float64 // of the ratio, or of the value if absolute; 0: none
	absolute      bool
	ours, theirs  func(*rig) float64 // theirs nil: measured against nothing
}

func (f figure) format(v float64) string {
	prec := 0
	if v < 10 {
		prec = 2
	} else if v < 100 {
		prec = 1
	}
	return thousands(strconv.FormatFloat(v, 'f', prec, 64)) + " " + f.unit
}

// line is a figure that was measured.
type line struct {
	figure
	ours, theirs float64
}

func (l line) ratio() string {
	if l.theirs == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f x", l.ours/l.theirs)
}

func (l line) wanted() string {
	if l.floor == 0 {
		return ""
	}
	how := "at least "
	if l.less {
		how = "at most "
	}
	if l.absolute {
		return how + l.format(l.floor)
	}
	return how + fmt.Sprintf("%.2f x", l.floor)
}

func (l line) met() string {
	v := l.ours
	if !l.absolute {
		v /= l.theirs
	}
	switch {
	case l.floor == 0:
		return ""
	case l.less && v <= l.floor, !l.less && v >= l.floor:
		return "yes"
	}
	return "NO"
}

func (l line) String() string {
	s := "habilita " + l.format(l.ours)
	if l.figure.theirs != nil {
		s += ", against " + l.format(l.theirs) + ", " + l.ratio()
	}
	return s + "; " + l.wanted() + ": " + l.met()
}

func printTable(out io.Writer, lines []line, s settings) {
	_, _ = fmt.Fprintf(out, "\n%s, %d CPUs, median of %d, scale %v, redis-server with AOF everysec\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), s.turns, s.scale)
	_, _ = fmt.Fprintln(out, "| what | habilita | against | what is that | ratio | floor | met |\n| --- | ---: | ---: | --- | ---: | --- | --- |")
	for _, l := range lines {
		theirs := ""
		if l.figure.theirs != nil {
			theirs = l.format(l.theirs)
		}
		_, _ = fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", l.what, l.format(l.ours), theirs, l.against, l.ratio(), l.wanted(), l.met())
	}
}

// thousands puts commas into the whole part of a number.
func thousands(s string) string {
	whole, rest, dot := strings.Cut(s, ".")
	neg := strings.HasPrefix(whole, "-")
	whole = strings.TrimPrefix(whole, "-")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if neg {
		whole = "-" + whole
	}
	if dot {
		whole += "." + rest
	}
	return whole
}
