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
	instant      bool // refused, or reset before any work: it ended at its arrival
	held         chan struct{}
	work         time.Duration
	does         bool // the module is enabled at the end of the work
}

// ServeHTTP takes a request as the vendor would. It goes on working when the caller has gone.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, violations, refusal := parse(r)
	j := s.arrive(req, violations, refusal)
	if j == nil {
		http.Error(w, "the simulator is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.leave()
	completed := j.instant || s.work(j)
	body := j.answer.render(j.codeAsString)
	ended := j.instant
	end := func() {
		if !ended {
			s.end(j, completed, r.Context().Err() != nil)
			ended = true
		}
	}
	defer end() // also where an answer could not be written to the end
	if !completed {
		end()
		reset(w)
		return
	}
	s.reply(w, j, body, end)
}

// arrive enters a request and decides what is to be done with it. It returns nil when the simulator is closed.
func (s *Simulator) arrive(req Request, violations []string, refusal *answer) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.working++
	s.seq++
	req.Arrived = s.opts.Now()
	req.Day = s.day(req.Arrived)
	j := &job{codeAsString: s.opts.Code == CodeString || s.opts.Code == CodeMixed && s.rng.IntN(2) == 0}
	quota := 0
	if req.Token != "" {
		token := s.lookup(req.Token)
		quota = token.quota()
		j.state = s.state(req.Token, token, req.Day)
		j.state.inFlight++
		j.state.count++
		req.InFlight, req.DayCount = j.state.inFlight, j.state.count
		violations, refusal = j.limits(token.Bad, quota, violations, refusal)
	}
	if refusal != nil {
		j.instant, j.answer = true, *refusal
	} else {
		s.plan(j, &req, quota)
	}
	j.record = Record{
		Seq: s.seq, Arrived: req.Arrived,
		Server: req.Server, Token: req.Token, API: req.API, RequestID: req.RequestID, Call: req.Call, Attempt: req.Attempt,
		InFlight: req.InFlight, Day: req.Day, DayCount: req.DayCount, Quota: quota,
		Fault: j.fault.Kind, Violations: violations,
	}
	j.index = s.book.arrive(j.record)
	s.journal.write(arriveLine(j.record, j.hash()))
	if j.instant {
		s.endLocked(j, true, false)
	}
	s.changed.Broadcast()
	return j
}

// limits checks the token and its limits; the vendor's order of these checks is not known.
func (j *job) limits(bad bool, quota int, violations []string, refusal *answer) ([]string, *answer) {
	refuse := func(msg string) {
		if refusal == nil {
			a := forbidden(msg)
			refusal = &a
		}
	}
	if bad {
		refuse(msgBadToken)
	}
	if j.state.inFlight > SlotLimit {
		violations = append(violations, ViolationSlots)
		refuse(msgSimultaneous)
	}
	if !bad && j.state.count > quota {
		violations = append(violations, ViolationQuota)
	}
	if !bad && j.state.count+j.state.used > quota {
		refuse(msgTokenLimit)
	}
	return violations, refusal
}

// plan decides the fault, the work and the answer of a request that passed the checks.
func (s *Simulator) plan(j *job, req *Request, quota int) {
	j.state.passed++
	req.TokenNth = j.state.passed
	switch {
	case req.Call == "":
	case s.calls == nil:
		req.CallNth = req.Attempt
	default:
		s.calls[req.Call]++
		req.CallNth = s.calls[req.Call]
	}
	if s.opts.Script != nil {
		j.fault = s.opts.Script(*req)
	}
	good := envelope(http.StatusAccepted, "", "The "+j.state.operation+" module has been successfully enabled")
	good.status = s.opts.SuccessStatus
	switch req.API {
	case DisableModule:
		good.msg = "The " + j.state.operation + " module has been successfully disabled"
	case TokenInfoAPI:
		good = s.tokenInfo(j.state, quota)
	}
	j.answer = j.fault.spoil(good)
	j.does = j.fault.does() && req.API != TokenInfoAPI
	if j.fault.Kind == ResetBefore {
		j.instant = true
		return
	}
	j.work = s.opts.Latency + j.fault.extraWork()
	if s.opts.Jitter > 0 {
		j.work += time.Duration(s.rng.Int64N(int64(s.opts.Jitter)))
	}
	j.held = s.gate.enter(*req)
}

// tokenInfo answers token_info. The fields and that they are strings is documented; how "data" holds them is not.
func (s *Simulator) tokenInfo(st *tokenState, quota int) answer {
	all := 0
	for _, other := range s.states {
		if other.operation == st.operation && other.day == st.day {
			all += other.count + other.used
		}
	}
	use := st.count + st.used
	info := map[string]string{
		"description":                   st.operation,
		"token_limit":                   strconv.Itoa(quota),
		"token_use_today":               strconv.Itoa(use),
		"all_token_today":               strconv.Itoa(all),
		"available_consumption_options": strconv.Itoa(max(0, quota-use)),
	}
	a := envelope(http.StatusOK, "", "1 records were found")
	a.data = []map[string]string{info}
	if s.opts.TokenInfoObject {
		a.data = info
	}
	return a
}

// work holds the request in flight for as long as the vendor works on it, whatever becomes of the caller. It returns false when
// the simulator was closed before the end.
func (s *Simulator) work(j *job) bool {
	if j.held != nil {
		<-j.held // Close opens the gate
	}
	return s.pause(j.work)
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
	s.journal.write(endLine(*r))
}

func (s *Simulator) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	s.changed.Broadcast()
}

func (j *job) hash() string {
	if j.state == nil {
		return ""
	}
	return j.state.hash
}
