package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/server"
	"github.com/spf13/viper"
)

// policy is the identifier under which Sigstore's timestamps are given.
const policy = "1.3.6.1.4.1.57264.2"

// clock is the timestamp authority (RFC 3161).
type clock struct {
	address string
	// chain holds its certificates, as DER, its own first.
	chain   [][]byte
	handler http.Handler
}

func newClock() (*clock, error) {
	viper.Set("timestamp-signer", "memory")
	viper.Set("timestamp-signer-hash", "sha256")
	viper.Set("accepted-policy-oids", []string{policy})
	viper.Set("default-policy-oid", policy)
	api := server.NewRestAPIServer("127.0.0.1", 0, []string{"http"}, false, time.Minute, time.Minute)
	handler := api.GetHandler()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/api/v1/timestamp/certchain", nil))
	var chain [][]byte
	for rest := recorder.Body.Bytes(); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		chain = append(chain, block.Bytes)
	}
	return &clock{chain: chain, handler: handler}, nil
}
