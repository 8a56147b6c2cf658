package wolkvoxtest

import (
	"net/http"
	"strconv"
	"time"
)

// job is a request that is being worked on.
type job struct {
	record Record
	index  int // in the book
	state  *tokenState

	answer       answer
	codeAsString bool
	fault        Fault
	instant      bool          // refused, or reset before any work: it ended at its arrival
	held         chan struct{} // nil: it is not
	work         time.Duration
	does         bool // the module is enabled at the end of the work
}

// ServeHTTP handles a request as the vendor would. It goes on working when the caller has gone.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "the simulator is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.leave() // even if the script of a test panics
	j := s.arrive(parse(r))
	if j.held != nil {
		<-j.held // Close opens the gate
	}
	completed := j.instant || s.pause(j.work) // the vendor works this long, even if the caller goes
	body := j.answer.render(j.codeAsString)
	ended := j.instant
	end := func() {
		if !ended {
			s.end(j, completed, r.Context().Err() != nil)
			ended = true
		}
	}
	defer end() // even if the answer could not be written completely
	if !completed {
		end()
		reset(w)
		return
	}
	s.reply(w, j, body, end)
}

// enter counts a request as one that is being worked on. It returns false when the simulator is closed.
func (s *Simulator) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.working++
	return true
}

// arrive notes a request and decides what to do with it.
func (s *Simulator) arrive(req Record, refusal *answer) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	req.Seq = s.seq
	req.Arrived = s.opts.Now()
	req.Day = s.day(req.Arrived)
	j := &job{record: req, codeAsString: s.opts.Code == CodeString || s.opts.Code == CodeMixed && s.rng.IntN(2) == 0}
	hash := ""
	if req.Token != "" {
		token := s.lookup(req.Token)
		j.state = s.state(req.Token, token, req.Day)
		j.state.inFlight++
		j.state.count++
		j.record.InFlight, j.record.DayCount, j.record.Quota = j.state.inFlight, j.state.count, token.quota()
		hash = j.state.hash
		refusal = j.limits(token.Bad, refusal)
	}
	if refusal != nil {
		j.instant, j.answer = true, *refusal
	} else {
		s.plan(j)
	}
	j.index = s.book.arrive(j.record)
	s.journal.arrived(j.record, hash)
	if j.instant {
		s.endLocked(j, true, false)
	}
	s.changed.Broadcast()
	return j
}

// limits checks the token and its limits; the vendor's order of these checks is not known.
func (j *job) limits(bad bool, refusal *answer) *answer {
	r := &j.record
	refuse := func(msg string) {
		if refusal == nil {
			a := forbidden(msg)
			refusal = &a
		}
	}
	if bad {
		refuse(msgBadToken)
	}
	if r.InFlight > SlotLimit {
		r.Violations = append(r.Violations, ViolationSlots)
		refuse(msgSimultaneous)
	}
	if r.overQuota() {
		r.Violations = append(r.Violations, ViolationQuota)
	}
	if !bad && r.DayCount+j.state.used > r.Quota {
		refuse(msgTokenLimit)
	}
	return refusal
}

// plan decides the fault, the work and the answer of a request that passed the checks.
func (s *Simulator) plan(j *job) {
	r := &j.record
	j.state.passed++
	r.TokenNth = j.state.passed
	switch {
	case r.Call == "":
	case s.calls == nil:
		r.CallNth = r.Attempt
	default:
		s.calls[r.Call]++
		r.CallNth = s.calls[r.Call]
	}
	if s.opts.Script != nil {
		j.fault = s.opts.Script(*r)
		r.Fault = j.fault.Kind
	}
	good := envelope(http.StatusAccepted, "", "The "+j.state.operation+" module has been successfully enabled")
	if r.API == TokenInfoAPI {
		good = tokenInfo(j.state, r.Quota)
	}
	j.answer = j.fault.spoil(good)
	j.does = done[j.fault.Kind] && r.API == EnableModule
	if j.fault.Kind == ResetBefore {
		j.instant = true
		return
	}
	j.work = s.opts.Latency + j.fault.extraWork()
	if s.opts.Jitter > 0 {
		j.work += time.Duration(s.rng.Int64N(int64(s.opts.Jitter)))
	}
	j.held = s.gate.enter(*r)
}

// tokenInfo answers token_info. The fields, and that they are strings, are documented; how "data" holds them is not.
func tokenInfo(st *tokenState, quota int) answer {
	use := st.count + st.used
	a := envelope(http.StatusOK, "", "1 records were found")
	a.data = []map[string]string{{
		"description":                   st.operation,
		"token_limit":                   strconv.Itoa(quota),
		"token_use_today":               strconv.Itoa(use),
		"all_token_today":               strconv.Itoa(use), // of the operation's tokens: this vendor knows no other
		"available_consumption_options": strconv.Itoa(max(0, quota-use)),
	}}
	return a
}

// pause waits for d and returns true, or returns false as soon as the simulator is closed.
func (s *Simulator) pause(d time.Duration) bool {
	if d <= 0 {
		select {
		case <-s.stop:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
		return false
	}
}

func (s *Simulator) end(j *job, completed, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(j, completed, gone)
	s.changed.Broadcast()
}

// endLocked enters the end of the work.
func (s *Simulator) endLocked(j *job, completed, gone bool) {
	s.seq++
	r := &j.record
	r.EndSeq, r.Ended, r.Gone = s.seq, s.opts.Now(), gone
	if completed {
		r.Success = j.does
		r.Hidden = r.Success && j.fault.hides()
		if j.fault.Kind != ResetBefore && j.fault.Kind != ResetAfter {
			r.Status = j.answer.status
		}
	}
	if j.state != nil {
		j.state.inFlight--
	}
	s.book.end(j.index, *r)
	s.journal.ended(*r)
}

func (s *Simulator) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	s.changed.Broadcast()
}
