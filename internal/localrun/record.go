package localrun

import (
	"bytes"
	"encoding/json"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// version is the version of the journal's records. In oldVersion, calls without an id are known
// by their places in their chains.
const (
	version    = 2
	oldVersion = 1
)

// The types of records.
const (
	typeHead  = "head"  // a job begins; what stands before it no longer counts
	typeFile  = "file"  // rows were appended to FILE; of the old version
	typeRows  = "rows"  // rows that FILE has, and had not before
	typeLeft  = "left"  // rows that FILE has no more
	typeGrant = "grant" // a request may be sent from here on
	typeEnd   = "end"   // the outcome of an attempt
	typeRetry = "retry" // what was given up is to be tried again
	typeSkip  = "skip"  // what was given up and holds its chain is passed over
	// typeCancel: a call that its chain's policy cancelled, and that is shown as cancelled.
	typeCancel = "cancel"
)

// endRoom is the room for the text of an outcome, in bytes. A longer one is shortened.
const endRoom = 4096

// record is a line of the journal. Times are in ms since 1970. No record has a token.
type record struct {
	Type string `json:"t"`
	At   int64  `json:"at,omitempty"`

	Head    *head    `json:"head,omitempty"`
	Content *content `json:"file,omitempty"`
	Grant   *grant   `json:"g,omitempty"`
	End     *end     `json:"o,omitempty"`
	Rows    string   `json:"rows,omitempty"` // 8 bytes for each (rowHash), base64
}

// head is what stays the same over all starts.
type head struct {
	Version    int    `json:"v"`
	Batch      string `json:"batch"`
	Policy     string `json:"policy"`
	Keys       string `json:"keys"`   // seals tokens in this process' memory, and Naming
	TokenIDKey []byte `json:"naming"` // the key that names tokens, sealed under Keys
}

// content is what FILE held, in a journal of the old version.
type content struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// grant is an attempt: a request may be at the vendor from here on.
type grant struct {
	Chain    string `json:"c"`
	Key      string `json:"k"`
	Nonce    string `json:"n"`
	Attempt  int    `json:"a,omitempty"`
	Spent    int    `json:"s,omitempty"`
	Failures int    `json:"f,omitempty"`
	PushBack int64  `json:"p,omitempty"`
	Ends     int64  `json:"e,omitempty"` // of the lease
	Days     string `json:"d,omitempty"`

	// From the row that brought the call. They come with its first grant.
	Server string `json:"v,omitempty"`
	Ref    string `json:"ref,omitempty"`
	Row    int    `json:"row,omitempty"`
}

// end is an outcome; its grant's Chain, Key and Nonce come with it.
type end struct {
	Kind      ledger.Kind `json:"k"`
	Slot      ledger.Slot `json:"l"`
	RetryAt   int64       `json:"r,omitempty"`
	Code      string      `json:"code,omitempty"`
	Msg       string      `json:"msg,omitempty"`
	Err       string      `json:"err,omitempty"`
	Reason    string      `json:"w,omitempty"`
	CoolUntil int64       `json:"cu,omitempty"`
	CoolWhy   string      `json:"cw,omitempty"`
	CoolProbe int64       `json:"cp,omitempty"` // ms
	CoolLift  bool        `json:"cl,omitempty"`
}

func grantRecord(a *ledger.Attempt, at time.Time) record {
	return record{Type: typeGrant, At: redisconn.Millis(at), Grant: &grant{
		Chain: a.Chain, Key: a.Key, Nonce: a.Nonce, Attempt: a.Number, Spent: a.Spent, Failures: a.Failures,
		PushBack: redisconn.Millis(a.FirstPushBack), Ends: redisconn.Millis(a.LeaseEnds), Days: a.Days,
	}}
}

// of notes what the row of the call says.
func (g *grant) of(c control.CallRecord) { g.Server, g.Ref, g.Row = c.Server, c.Ref, c.Row }

func endRecord(r engine.Recorded) record {
	return record{Type: typeEnd, At: redisconn.Millis(r.At),
		Grant: &grant{Chain: r.Chain, Key: r.Key, Nonce: r.Nonce},
		End: &end{
			Kind: r.Kind, Slot: r.Slot, RetryAt: redisconn.Millis(r.RetryAt), Code: r.Code, Msg: r.Msg, Err: r.Err, Reason: r.Reason,
			CoolUntil: redisconn.Millis(r.Cooling.Until), CoolWhy: r.Cooling.Why, CoolProbe: r.Cooling.ProbeAfter.Milliseconds(), CoolLift: r.Cooling.Lift,
		}}
}

// encode returns the record's line. A record has only texts and numbers, so this can't fail.
func (r record) encode() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// encodeEnd is encode for an outcome. It shortens texts until they fit the room that was reserved.
func (r record) encodeEnd() []byte {
	for most := endRoom; ; most /= 2 {
		text := r.encode()
		if len(text) <= endRoom {
			return text
		}
		short := *r.End
		short.Err, short.Msg, short.CoolWhy = say.Cut(short.Err, most), say.Cut(short.Msg, most), say.Cut(short.CoolWhy, most)
		r.End = &short
	}
}
