package api

// Operations returns all operations that are served, such as "GET /v1/calls/{call}".
func (a *API) Operations() []string {
	var out []string
	for _, r := range a.routes {
		out = append(out, r.String())
	}
	return out
}
