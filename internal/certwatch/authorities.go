package certwatch

import (
	"crypto/x509"
	"fmt"
)

// ReadAuthorities reads the certificates of CAs from a PEM file, once.
func ReadAuthorities(path string) (*x509.CertPool, error) {
	text, err := ReadRegular(path)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%q contains no certificate in PEM form", path)
	}
	return authorities, nil
}
