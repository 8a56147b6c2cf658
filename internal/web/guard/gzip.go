package guard

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// ErrGzip says that a body is no gzip, is spoilt, or ended before its gzip did.
var ErrGzip = errors.New("the body's gzip is broken, or ended too early")

// Gunzip reads what r holds in gzip. A body that was cut never looks whole: it ends with
// ErrGzip. An error of r itself is returned as it is. The caller bounds what comes out.
func Gunzip(r io.Reader) io.Reader { return &gunzip{from: &source{r: r}} }

type gunzip struct {
	from *source
	z    *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.from)
		if err != nil {
			return 0, g.why(err)
		}
		g.z = z
	}
	n, err := g.z.Read(p)
	if err != nil && err != io.EOF {
		err = g.why(err)
	}
	return n, err
}

// why is the error of the source, if there was one.
func (g *gunzip) why(err error) error {
	if g.from.err != nil {
		return g.from.err
	}
	return fmt.Errorf("%w: %v", ErrGzip, err) // not wrapped: an io.EOF in it would look like the end
}

// source remembers the error of a reader.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Gzip compresses the answers of next for those who accept it, streams too, which arrive as
// they are flushed. Server-sent events, short answers and what is compressed already stay as
// they are. An answer that a handler cuts off (http.ErrAbortHandler) has no end in gzip either.
func Gzip(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead || r.Header.Get("Range") != "" || !acceptsGzip(r.Header.Values("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		z := &gzipped{ResponseWriter: w}
		next.ServeHTTP(z, r)
		z.end() // not after a panic
	})
}

// acceptsGzip reports whether gzip is named and not refused by q=0.
func acceptsGzip(headers []string) bool {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && !strings.EqualFold(name, "x-gzip") {
			continue
		}
		key, q, _ := strings.Cut(strings.TrimSpace(params), "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			return true
		}
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && weight > 0
	}
	return false
}

// shortAnswer is what is not worth compressing, in bytes.
const shortAnswer = 1024

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is right
	return z
}}

// gzipped holds an answer back until it is known whether it is compressed.
type gzipped struct {
	http.ResponseWriter
	status int    // 0: none was written
	first  []byte // held back
	begun  bool
	z      *gzip.Writer // nil: not compressed
}

func (g *gzipped) WriteHeader(status int) {
	if status < 200 { // informational: the answer is still to come
		g.ResponseWriter.WriteHeader(status)
		return
	}
	if g.status != 0 {
		return
	}
	g.status = status
	if !g.worth() {
		g.begin(false)
	}
}

func (g *gzipped) Write(p []byte) (int, error) {
	if g.status == 0 {
		if h := g.Header(); h.Get("Content-Type") == "" {
			h.Set("Content-Type", http.DetectContentType(p))
		}
		g.WriteHeader(http.StatusOK)
	}
	if !g.begun {
		if len(g.first)+len(p) < shortAnswer {
			g.first = append(g.first, p...)
			return len(p), nil
		}
		if err := g.begin(true); err != nil {
			return 0, err
		}
	}
	if g.z != nil {
		return g.z.Write(p)
	}
	return g.ResponseWriter.Write(p)
}

// worth reports whether the answer may be compressed.
func (g *gzipped) worth() bool {
	h := g.Header()
	if g.status == http.StatusNoContent || g.status == http.StatusNotModified || g.status == http.StatusPartialContent || h.Get("Content-Encoding") != "" {
		return false
	}
	if n, err := strconv.Atoi(h.Get("Content-Length")); err == nil && n < shortAnswer {
		return false
	}
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch media {
	case "text/event-stream":
		return false // each event is to arrive at once, through any proxy
	case "application/json", "application/problem+json", "application/yaml", "application/javascript", "image/svg+xml":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

// begin sends the header, and what was held back.
func (g *gzipped) begin(compress bool) error {
	g.begun = true
	h := g.Header()
	if compress {
		h.Set("Content-Encoding", "gzip")
		h.Del("Content-Length")
		h.Del("Accept-Ranges")
		if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
			h.Set("ETag", "W/"+tag) // other bytes than the tag's
		}
		g.z = gzipWriters.Get().(*gzip.Writer)
		g.z.Reset(g.ResponseWriter)
	}
	g.ResponseWriter.WriteHeader(g.status)
	first := g.first
	g.first = nil
	if len(first) == 0 {
		return nil
	}
	var err error
	if g.z != nil {
		_, err = g.z.Write(first)
	} else {
		_, err = g.ResponseWriter.Write(first)
	}
	return err
}

// FlushError sends what was written so far; http.ResponseController calls it.
func (g *gzipped) FlushError() error {
	if g.status == 0 {
		g.WriteHeader(http.StatusOK)
	}
	if !g.begun {
		if err := g.begin(true); err != nil {
			return err
		}
	}
	if g.z != nil {
		if err := g.z.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// Flush is what http.Flusher asks for.
func (g *gzipped) Flush() { _ = g.FlushError() }

// Unwrap is for http.ResponseController.
func (g *gzipped) Unwrap() http.ResponseWriter { return g.ResponseWriter }

func (g *gzipped) end() {
	if g.status != 0 && !g.begun {
		_ = g.begin(false) // short
	}
	if g.z != nil {
		_ = g.z.Close() // the caller has gone, or reads it
		g.z.Reset(nil)
		gzipWriters.Put(g.z)
		g.z = nil
	}
}
