package demo

import "github.com/tacet-dev/tacet/wire"

// Kinds of entries.
const (
	KindHello   = "hello"   // what the server is set to; first after a start
	KindPresent = "present" // a call reached the server; Token is what it carried
	KindAnswer  = "answer"  // the call with the same Call was answered
	KindDecide  = "decide"  // the server judged Token
	KindSteal   = "steal"   // the thief holds Token
	KindExpire  = "expire"  // the demo API refuses the access tokens given out so far
	KindFaults  = "faults"  // what the demo will do to the next renewals
	KindRead    = "read"    // the thief called the demo API
)

// Who called.
const (
	WhoBrowser = "browser"
	WhoThief   = "thief"
)

// What became of a response.
const (
	FateDelivered = "delivered" // handed to the network
	FateLost      = "lost"      // committed by the server, then dropped by the demo
	FateInjected  = "injected"  // made by the demo; the server never saw the call
)

// Entry is one thing that happened on the server's side, in the order of Seq.
// Fields that a kind does not use are left out.
type Entry struct {
	Seq  int64   `json:"seq"`
	At   float64 `json:"at"` // milliseconds since the epoch, server's clock
	Kind string  `json:"kind"`
	Who  string  `json:"who,omitempty"`
	Call int64   `json:"call,omitempty"`
	Op   string  `json:"op,omitempty"` // login, refresh, confirm, logout

	Token  *Token `json:"token,omitempty"`
	Minted *Token `json:"minted,omitempty"` // handed out in this response
	Status int    `json:"status,omitempty"`
	Fate   string `json:"fate,omitempty"`
	// Cleared says that the response deletes the caller's refresh cookie.
	Cleared bool `json:"cleared,omitempty"`

	Outcome string        `json:"outcome,omitempty"` // rotation.Outcome
	Head    *Token        `json:"head,omitempty"`    // after the decision
	By      *wire.Contact `json:"by,omitempty"`      // who presented
	HeldBy  *wire.Contact `json:"held_by,omitempty"` // who had brought Head

	Faults *Faults `json:"faults,omitempty"`
	Policy *Policy `json:"policy,omitempty"`
}

// Faults is what the demo will do to the next renewals of a browser: how many
// of them each thing happens to.
type Faults struct {
	Lose        int `json:"lose"`        // commit, then drop the response
	Unavailable int `json:"unavailable"` // answer 503 without asking the server
	Slow        int `json:"slow"`        // wait slowness before asking the server
}

// Policy is what the page needs to know to explain what it shows, in seconds.
type Policy struct {
	AccessTTL float64 `json:"access_ttl"`
	Overlap   float64 `json:"overlap"`
	Version   string  `json:"version,omitempty"`
}
