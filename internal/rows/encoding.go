package rows

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// Encoding is how a file's bytes stand for characters. A byte order mark at the
// file's beginning wins over it.
type Encoding string

const (
	// UTF8 is the default.
	UTF8 Encoding = "utf-8"
	// Windows1252 is what Excel for Windows writes as plain "CSV" in the west.
	// ISO 8859-1 is read as it, as browsers do.
	Windows1252 Encoding = "windows-1252"
)

// ErrEncoding says that an encoding isn't known.
var ErrEncoding = errors.New("is not one of utf-8, windows-1252")

// ParseEncoding reads an encoding's name, in any case. "" is UTF8. UTF-16 needs no
// name of its own, since its mark tells it. The error is ErrEncoding.
func ParseEncoding(name string) (Encoding, error) {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "utf-16":
		return UTF8, nil
	case "windows-1252", "cp1252", "iso-8859-1", "latin1":
		return Windows1252, nil
	}
	return UTF8, ErrEncoding
}

// script is how the bytes of a file became UTF-8.
type script struct {
	name    string
	decoded bool // what could not be read is U+FFFD now
}

// bad tells whether b has bytes that stood for no character.
func (s script) bad(b []byte) bool {
	return !utf8.Valid(b) || s.decoded && bytes.ContainsRune(b, utf8.RuneError)
}

func (s script) problem() string { return "is not valid " + s.name }

// decode looks at the first bytes of r. The reader that it returns gives UTF-8
// without a byte order mark. An error is r's.
func decode(r io.Reader, e Encoding) (io.Reader, script, error) {
	br := bufio.NewReader(r)
	mark, err := br.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, script{}, err
	}
	var enc encoding.Encoding
	s := script{name: "UTF-8"}
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		_, err = br.Discard(3)
		return br, s, err
	case bytes.HasPrefix(mark, []byte("\xff\xfe")):
		enc, s = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM), script{"UTF-16", true}
	case bytes.HasPrefix(mark, []byte("\xfe\xff")):
		enc, s = unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM), script{"UTF-16", true}
	case e == Windows1252:
		enc, s = charmap.Windows1252, script{"Windows-1252", true}
	default:
		return br, s, nil
	}
	return enc.NewDecoder().Reader(br), s, nil
}

// Advice says what to do about a file that has bytes that are no UTF-8. how is how
// Windows-1252 is asked for.
func Advice(how string) string {
	return fmt.Sprintf("save the file as UTF-8 (or %s, if it was saved by Excel as plain CSV)", how)
}

// lineReader gives the physical lines of a file, and no more than MaxLine+1
// bytes of any of them, in constant memory.
type lineReader struct {
	br    *bufio.Reader
	line  int  // number of the line that next gave last
	ended bool // that line had an end; the last one of a file may have none
}

func newLineReader(r io.Reader) *lineReader {
	// Room for the longest good line with CR LF, and one more byte: a buffer
	// that is full without a line's end is a line too long.
	return &lineReader{br: bufio.NewReaderSize(r, MaxLine+3)}
}

// next gives the next line without its ending (LF or CR LF), valid until the
// next call. A line longer than MaxLine comes as its first MaxLine+1 bytes. The
// error is io.EOF after the last line, or the reader's.
func (l *lineReader) next() ([]byte, error) {
	b, err := l.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		head := bytes.Clone(b[:MaxLine+1])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.br.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		l.line++
		l.ended = err == nil
		return head, nil
	}
	if errors.Is(err, io.EOF) {
		if len(b) == 0 {
			return nil, io.EOF
		}
	} else if err != nil {
		return nil, err // what was read of the line so far can't be trusted
	}
	l.line++
	l.ended = bytes.HasSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	return b[:min(len(b), MaxLine+1)], nil
}

// blank tells whether a line has nothing but ASCII white space.
func blank(b []byte) bool { return len(bytes.Trim(b, " \t\n\v\f\r")) == 0 }
