package main

import (
	"crypto/sha256"
	"time"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const operator = "test"

// parts are the services of a Sigstore.
type parts struct {
	authority    *authority
	certificates *ctLog
	clock        *clock
	log          *signatureLog
}

// trustedRoot says by which keys and certificates signatures are verified.
func (p parts) trustedRoot() ([]byte, error) {
	certificates := sha256.Sum256(p.certificates.public)
	return protojson.Marshal(&trust.TrustedRoot{
		MediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs: []*trust.TransparencyLogInstance{
			logInstance(p.log.address, p.log.public, p.log.id, common.PublicKeyDetails_PKIX_ED25519),
		},
		Ctlogs: []*trust.TransparencyLogInstance{logInstance(
			p.certificates.address, p.certificates.public, certificates[:],
			common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		)},
		CertificateAuthorities: []*trust.CertificateAuthority{
			certificateAuthority(p.authority.address, p.authority.chain),
		},
		TimestampAuthorities: []*trust.CertificateAuthority{
			certificateAuthority(p.clock.address, p.clock.chain),
		},
	})
}

// signingConfig says where to sign.
func (p parts) signingConfig() ([]byte, error) {
	one := &trust.ServiceConfiguration{Selector: trust.ServiceSelector_ANY}
	return protojson.Marshal(&trust.SigningConfig{
		MediaType:       "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		CaUrls:          []*trust.Service{service(p.authority.address, 1)},
		RekorTlogUrls:   []*trust.Service{service(p.log.address, 2)},
		RekorTlogConfig: one,
		TsaUrls:         []*trust.Service{service(p.clock.address+"/api/v1/timestamp", 1)},
		TsaConfig:       one,
	})
}

// since is when everything began to be trusted.
func since() *common.TimeRange {
	return &common.TimeRange{Start: timestamppb.New(time.Now().Add(-time.Hour).Truncate(time.Second))}
}

func service(address string, version uint32) *trust.Service {
	return &trust.Service{
		Url: address, MajorApiVersion: version, ValidFor: since(), Operator: operator,
	}
}

func logInstance(
	address string, public, id []byte, details common.PublicKeyDetails,
) *trust.TransparencyLogInstance {
	return &trust.TransparencyLogInstance{
		BaseUrl:       address,
		HashAlgorithm: common.HashAlgorithm_SHA2_256,
		PublicKey: &common.PublicKey{
			RawBytes: public, KeyDetails: details, ValidFor: since(),
		},
		LogId:    &common.LogId{KeyId: id},
		Operator: operator,
	}
}

func certificateAuthority(address string, chain [][]byte) *trust.CertificateAuthority {
	var certificates []*common.X509Certificate
	for _, certificate := range chain {
		certificates = append(certificates, &common.X509Certificate{RawBytes: certificate})
	}
	return &trust.CertificateAuthority{
		Subject:   &common.DistinguishedName{Organization: operator, CommonName: operator},
		Uri:       address,
		CertChain: &common.X509CertificateChain{Certificates: certificates},
		ValidFor:  since(),
	}
}
