package guard

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// ErrGzip says that a body is not gzip, is damaged, or ended before its gzip did.
var ErrGzip = errors.New("the body's gzip is broken, or ended too early")

// Gunzip unpacks what r holds in gzip. A body that was cut never looks whole: it ends with
// ErrGzip. Another error of r is returned as it is. The caller limits what comes out.
func Gunzip(r io.Reader) io.Reader { return &gunzip{from: r} }

type gunzip struct {
	from io.Reader
	z    *gzip.Reader
}

func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.z == nil {
		if g.z, err = gzip.NewReader(g.from); err != nil {
			return 0, broken(err)
		}
	}
	if n, err = g.z.Read(p); err != io.EOF {
		err = broken(err)
	}
	return n, err
}

// broken turns errors of the gzip into ErrGzip, and leaves errors of its source as they are.
func broken(err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if corrupt || slices.Contains([]error{gzip.ErrHeader, gzip.ErrChecksum, io.EOF, io.ErrUnexpectedEOF}, err) {
		return fmt.Errorf("%w: %v", ErrGzip, err) // not wrapped: an io.EOF in it would look like the end
	}
	return err
}

// Gzip compresses the answers of next for clients that accept it. Streams are compressed too, and
// arrive as they are flushed. Server-sent events and what is compressed already stay as they are.
// An answer that a handler cuts off (http.ErrAbortHandler) has no end in gzip either.
func Gzip(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.MinSize(0), gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.ContentTypeFilter(worth))
	if err != nil {
		panic(err) // the options are right
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &cuttable{ResponseWriter: w}
		wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ended := false
			defer func() { out.cut = !ended }()
			next.ServeHTTP(w, r)
			ended = true
		})).ServeHTTP(out, r)
	})
}

// worth reports whether answers of a type are compressed.
func worth(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "text/event-stream":
		return false // each event is to arrive at once, through any proxy
	case "application/json", "application/problem+json", "application/yaml", "application/javascript", "image/svg+xml":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

// cuttable is an answer that takes nothing more once its handler has cut it off.
type cuttable struct {
	http.ResponseWriter
	cut bool
}

func (c *cuttable) Write(p []byte) (int, error) {
	if c.cut {
		return 0, http.ErrAbortHandler
	}
	return c.ResponseWriter.Write(p)
}

// Flush makes it an http.Flusher.
func (c *cuttable) Flush() { _ = http.NewResponseController(c.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (c *cuttable) Unwrap() http.ResponseWriter { return c.ResponseWriter }
