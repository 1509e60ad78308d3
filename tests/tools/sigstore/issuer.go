package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const keyID = "test"

// issuer vouches for runs of a workflow, as token.actions.githubusercontent.com does.
type issuer struct {
	address string
	// bearer is what a job shows to get a token.
	bearer string
	key    *rsa.PrivateKey
	signer jose.Signer
}

func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, options)
	if err != nil {
		return nil, err
	}
	bearer := make([]byte, 16)
	_, _ = rand.Read(bearer)
	return &issuer{bearer: hex.EncodeToString(bearer), key: key, signer: signer}, nil
}

func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer":                                i.address,
			"jwks_uri":                              i.address + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"},
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		key := jose.JSONWebKey{Key: i.key.Public(), KeyID: keyID, Algorithm: "RS256", Use: "sig"}
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
	})
	mux.HandleFunc("GET /token", i.token)
	return mux
}

// token gives a job its token; further parameters of the query replace claims.
func (i *issuer) token(w http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Authorization") != "Bearer "+i.bearer {
		http.Error(w, "the request's token is another one", http.StatusUnauthorized)
		return
	}
	now := time.Now()
	claims := map[string]any{
		"iss": i.address,
		"iat": now.Unix(),
		"nbf": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(),
	}
	for name, value := range claimsOfRun {
		claims[name] = value
	}
	for name, values := range request.URL.Query() {
		switch name {
		case "api-version":
		case "audience":
			claims["aud"] = values[0]
		default:
			claims[name] = values[0]
		}
	}
	token, err := jwt.Signed(i.signer).Claims(claims).Serialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"count": len(token), "value": token})
}

// claimsOfRun are those of a push to the default branch of a public repository, as GitHub
// documents them.
var claimsOfRun = map[string]string{
	"sub":                   "repo:octo-org/orders:ref:refs/heads/main",
	"actor":                 "octocat",
	"event_name":            "push",
	"job_workflow_ref":      "octo-org/orders/.github/workflows/application.yml@refs/heads/main",
	"job_workflow_sha":      "0123456789abcdef0123456789abcdef01234567",
	"ref":                   "refs/heads/main",
	"ref_type":              "branch",
	"repository":            "octo-org/orders",
	"repository_id":         "74",
	"repository_owner":      "octo-org",
	"repository_owner_id":   "65",
	"repository_visibility": "public",
	"run_attempt":           "1",
	"run_id":                "7",
	"run_number":            "7",
	"runner_environment":    "github-hosted",
	"sha":                   "0123456789abcdef0123456789abcdef01234567",
	"workflow":              "application",
	"workflow_ref":          "octo-org/orders/.github/workflows/application.yml@refs/heads/main",
	"workflow_sha":          "0123456789abcdef0123456789abcdef01234567",
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
