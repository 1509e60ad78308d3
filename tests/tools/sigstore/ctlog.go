package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509"
)

// ctLog promises to log certificates (RFC 6962, add-pre-chain). It signs the promise and keeps
// nothing: nobody asks for the log itself.
type ctLog struct {
	address string
	key     *ecdsa.PrivateKey
	// public is the public key as DER; its SHA-256 is the log's name.
	public []byte
}

func newCTLog() (*ctLog, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return &ctLog{key: key, public: public}, nil
}

func (l *ctLog) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ct/v1/add-pre-chain", func(w http.ResponseWriter, request *http.Request) {
		var chain ct.AddChainRequest
		if err := json.NewDecoder(request.Body).Decode(&chain); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		promise, err := l.promise(chain)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, promise)
	})
	return mux
}

// promise gives the signed certificate timestamp of a precertificate.
func (l *ctLog) promise(chain ct.AddChainRequest) (*ct.AddChainResponse, error) {
	var raw []ct.ASN1Cert
	for _, certificate := range chain.Chain {
		raw = append(raw, ct.ASN1Cert{Data: certificate})
	}
	now := uint64(time.Now().UnixMilli())
	leaf, err := ct.MerkleTreeLeafFromRawChain(raw, ct.PrecertLogEntryType, now)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(l.public)
	timestamp := ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1,
		LogID:      ct.LogID{KeyID: id},
		Timestamp:  now,
	}
	input, err := ct.SerializeSCTSignatureInput(timestamp, ct.LogEntry{Leaf: *leaf})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(input)
	signed, err := l.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	signature, err := tls.Marshal(ct.DigitallySigned{
		Algorithm: tls.SignatureAndHashAlgorithm{Hash: tls.SHA256, Signature: tls.ECDSA},
		Signature: signed,
	})
	if err != nil {
		return nil, err
	}
	return &ct.AddChainResponse{
		SCTVersion: ct.V1,
		ID:         id[:],
		Timestamp:  now,
		Signature:  signature,
	}, nil
}
