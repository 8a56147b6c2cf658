package rows

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

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
func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && (c < '\t' || c > '\r') {
			return false
		}
	}
	return true
}
