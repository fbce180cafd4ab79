package sharded

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/rotation"
)

// version8 is the upper half of an id's seventh byte if it carries a shard.
const version8 = 0x80

// shardOf is the shard that an id names. An id of any other version than 8 is in
// the home.
func shardOf(id rotation.SessionID) int {
	if id[6]&0xf0 != version8 {
		return postgres.HomeShard
	}
	return int(id[6]&0x0f)<<8 | int(id[7])
}

// stamp puts the number of a shard into the id of a new session. The home needs
// none.
func stamp(id rotation.SessionID, shard int) rotation.SessionID {
	if shard != postgres.HomeShard {
		id[6], id[7] = version8|byte(shard>>8), byte(shard)
	}
	return id
}

// placed is the shard of those given that takes a user's new sessions: the one
// with the highest hash of both. Another shard takes over only the users for whom
// it is higher still, and one that is left out leaves its users to all others.
func placed(userID string, shards []int) int {
	sum := sha256.Sum256([]byte(userID))
	user := binary.BigEndian.Uint64(sum[:])
	best, highest := postgres.HomeShard, uint64(0)
	for i, n := range shards {
		if h := mix(user ^ mix(uint64(n)+1)); i == 0 || h > highest {
			best, highest = n, h
		}
	}
	return best
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
