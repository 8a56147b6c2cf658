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
// they are flushed. Server-sent events and what is compressed already stay as they are. An answer that a handler cuts off (http.ErrAbortHandler) has no end in gzip either.
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

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is right
	return z
}}

// gzipped is an answer that may be compressed: its header decides.
type gzipped struct {
	http.ResponseWriter
	begun bool
	z     *gzip.Writer // nil: not compressed
}

func (g *gzipped) WriteHeader(status int) {
	if status >= 200 && !g.begun { // below, the answer is still to come
		g.begun = true
		if h := g.Header(); worth(status, h) {
			h.Set("Content-Encoding", "gzip")
			h.Del("Content-Length")
			h.Del("Accept-Ranges")
			if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
				h.Set("ETag", "W/"+tag) // other bytes than the tag's
			}
			g.z = gzipWriters.Get().(*gzip.Writer)
			g.z.Reset(g.ResponseWriter)
		}
	}
	g.ResponseWriter.WriteHeader(status)
}

func (g *gzipped) Write(p []byte) (int, error) {
	if !g.begun {
		if h := g.Header(); h.Get("Content-Type") == "" {
			h.Set("Content-Type", http.DetectContentType(p))
		}
		g.WriteHeader(http.StatusOK)
	}
	if g.z != nil {
		return g.z.Write(p)
	}
	return g.ResponseWriter.Write(p)
}

// worth reports whether an answer is compressed.
func worth(status int, h http.Header) bool {
	if status == http.StatusNoContent || status == http.StatusNotModified || status == http.StatusPartialContent || h.Get("Content-Encoding") != "" {
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

// FlushError sends what was written so far; http.ResponseController calls it.
func (g *gzipped) FlushError() error {
	if !g.begun {
		g.WriteHeader(http.StatusOK)
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
	if g.z != nil {
		_ = g.z.Close() // the caller has gone, or reads it
		g.z.Reset(nil)
		gzipWriters.Put(g.z)
	}
}
