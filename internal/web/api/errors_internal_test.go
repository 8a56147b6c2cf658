package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// If a batch was deleted while its rows came, its name is not wrong, though both errors are an ErrNoBatch.
func TestABatchThatWasDeletedMeanwhileIsGivenAgain(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/v1/batches?batch=b", nil)
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{&ledger.BatchError{Batch: "b", Problem: ledger.BatchGone}, http.StatusConflict, "send all rows again"},
		{&control.UnknownError{Kind: ledger.ErrNoBatch, Name: "b"}, http.StatusNotFound, "lists those there are"},
	} {
		if p := new(API).problemOf(r, fmt.Errorf("rows: %w", c.err)); p.Status != c.status || !strings.Contains(p.Detail, c.says) {
			t.Errorf("%v: %+v", c.err, p)
		}
	}
}
