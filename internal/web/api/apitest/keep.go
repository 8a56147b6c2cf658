package apitest

import (
	"encoding/json"
	"net/http"
	"os"
	"sync"
)

// KeepEnv is the environment variable that names a file to which [Keep] adds exchanges.
const KeepEnv = "HABILITA_KEEP_EXCHANGES"

// Exchange is a request that a test sent and the answer that it got.
type Exchange struct {
	Test         string
	Method, URL  string
	Header       http.Header
	Body         []byte
	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

var keeping sync.Mutex

// Keep writes an exchange as a line of JSON to the file that KeepEnv names, if it names one.
func Keep(test string, r *http.Request, body []byte, res *http.Response, answer []byte) error {
	name := os.Getenv(KeepEnv)
	if name == "" {
		return nil
	}
	line, err := json.Marshal(Exchange{test, r.Method, r.URL.String(), r.Header, body, res.StatusCode, res.Header, answer})
	if err != nil {
		return err
	}
	keeping.Lock()
	defer keeping.Unlock()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
