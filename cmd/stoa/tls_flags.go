package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/node"
)

const (
	tlsCertVariable = "STOA_TLS_CERT"
	tlsKeyVariable  = "STOA_TLS_KEY"
	tlsCertFlag     = "tls-cert"
	tlsKeyFlag      = "tls-key"
)

// tlsFlags say with which certificate the port speaks TLS.
type tlsFlags struct {
	set  *pflag.FlagSet
	cert string
	key  string
}

func (f *tlsFlags) register(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.cert, tlsCertFlag, "",
		"PEM `file` with the certificate, and those up to its issuer behind it: everything on the port is then TLS; "+
			tlsCertVariable+" if not given")
	set.StringVar(&f.key, tlsKeyFlag, "",
		"PEM `file` with the certificate's key; "+tlsKeyVariable+" if not given")
}

// tlsPair are the files of a certificate and its key; both are empty without TLS.
type tlsPair struct{ cert, key string }

func (p tlsPair) given() bool { return p.cert != "" }

// resolve returns what flags and environment say together.
func (f *tlsFlags) resolve() (tlsPair, error) {
	pair := tlsPair{f.cert, f.key}
	if !f.set.Changed(tlsCertFlag) {
		pair.cert = os.Getenv(tlsCertVariable)
	}
	if !f.set.Changed(tlsKeyFlag) {
		pair.key = os.Getenv(tlsKeyVariable)
	}
	switch {
	case pair.cert == "" && pair.key != "":
		return pair, fmt.Errorf("--%s or %s: want the certificate of the key %q", tlsCertFlag, tlsCertVariable, pair.key)
	case pair.key == "" && pair.cert != "":
		return pair, fmt.Errorf("--%s or %s: want the key of the certificate %q", tlsKeyFlag, tlsKeyVariable, pair.cert)
	}
	return pair, nil
}

// listen binds the address, for TLS if there is a certificate.
func listen(server *node.Node, address string, pair tlsPair) error {
	if !pair.given() {
		if err := server.Listen("tcp", address); err != nil {
			return &failureError{explainListen(err)}
		}
		return nil
	}
	err := server.ListenTLS("tcp", address, pair.cert, pair.key)
	switch {
	case errors.Is(err, node.ErrCertificate):
		return fmt.Errorf("--%s, --%s: %w", tlsCertFlag, tlsKeyFlag, err)
	case err != nil:
		return &failureError{explainListen(err)}
	}
	return nil
}
