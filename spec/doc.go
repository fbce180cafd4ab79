// Package spec holds what the project promises to implementations and readers
// elsewhere: the test vectors in vectors, and coverage.md, which leads from
// sentences of the RFCs to the tests that hold them up. Its tests check that
// what coverage.md and PROTOCOL.md cite exists.
package spec
