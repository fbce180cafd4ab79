package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/tacet-dev/tacet/wire"
)

func TestFeedShapes(t *testing.T) {
	for want, v := range map[string]any{
		`{"now":"n","seq":1,"access_ttl":900,"tick":5,"reset":false}`: wire.FeedHello{Now: "n", Seq: 1, AccessTTL: 900, Tick: 5},
		`{"now":"n","seq":1}`:            wire.FeedTick{Now: "n", Seq: 1},
		`{"now":"n","seq":1,"mark":"m"}`: wire.FeedTick{Now: "n", Seq: 1, Mark: "m"},
		`{"session_id":"s","user_id":"u","reason":"signed_out","at":"t"}`: wire.FeedSessionEnded{SessionID: "s", UserID: "u", Reason: wire.ReasonSignedOut, At: "t"},
		`{"session_id":"s","at":"t"}`:                                     wire.FeedSessionEnded{SessionID: "s", At: "t"},
		`{"user_id":"u","grants_version":2,"at":"t"}`:                     wire.FeedGrantsChanged{UserID: "u", GrantsVersion: 2, At: "t"},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
