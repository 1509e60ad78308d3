package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"

	"github.com/google/certificate-transparency-go/client"
	"github.com/google/certificate-transparency-go/jsonclient"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/sigstore/fulcio/pkg/ca/ephemeralca"
	"github.com/sigstore/fulcio/pkg/config"
	gateway "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"github.com/sigstore/fulcio/pkg/server"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/grpc/metadata"
)

// authority is Fulcio: it gives certificates to whom the issuer vouches for.
type authority struct {
	address string
	// chain holds the authority's own certificates, as DER.
	chain   [][]byte
	handler http.Handler
}

func newAuthority(issuer string, log *ctLog) (*authority, error) {
	text, err := json.Marshal(map[string]any{"OIDCIssuers": map[string]any{
		issuer: map[string]string{
			"IssuerURL": issuer,
			"ClientID":  "sigstore",
			"Type":      config.IssuerTypeGithubWorkflow,
		},
	}})
	if err != nil {
		return nil, err
	}
	settings, err := config.Read(text)
	if err != nil {
		return nil, err
	}
	ca, err := ephemeralca.NewEphemeralCA()
	if err != nil {
		return nil, err
	}
	certificates, _ := ca.GetSignerWithChain()
	var chain [][]byte
	for _, certificate := range certificates {
		chain = append(chain, certificate.Raw)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: log.public})
	ct, err := client.New(log.address, http.DefaultClient, jsonclient.Options{PublicKey: string(public)})
	if err != nil {
		return nil, err
	}
	algorithms, err := signature.NewAlgorithmRegistryConfig([]common.PublicKeyDetails{
		common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
	})
	if err != nil {
		return nil, err
	}
	fulcio := server.NewGRPCCAServer(ct, ca, algorithms, server.NewIssuerPool(settings))
	mux := runtime.NewServeMux(runtime.WithMetadata(func(_ context.Context, request *http.Request) metadata.MD {
		token := strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer ")
		return metadata.Pairs(server.MetadataOIDCTokenKey, token)
	}))
	if err := gateway.RegisterCAHandlerServer(context.Background(), mux, fulcio); err != nil {
		return nil, err
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		mux.ServeHTTP(w, request.WithContext(config.With(request.Context(), settings)))
	})
	return &authority{chain: chain, handler: handler}, nil
}
