package app

import "github.com/tacet-dev/tacet/verify"

// openEncryption lets encrypted requests in, where that is switched on. What is
// agreed with keys of the ring, every node understands.
func (a *App) openEncryption() (err error) {
	if a.Config.Encryption.Encryption {
		a.Encryption, err = verify.NewEncryption(verify.EncryptionConfig{Verifier: a.Verifier, Keys: a.Keys.EncryptionKey, Unbound: true})
	}
	return err
}
