package accounts

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// adminKeys is GET /auth/admin/keys.
func (a *surface) adminKeys(w http.ResponseWriter, _ *http.Request, _ administrator) error {
	return httpapi.WriteJSON(w, http.StatusOK, wireKeys(a.keys.List()))
}

// adminRotateKeys is POST /auth/admin/keys/rotate.
func (a *surface) adminRotateKeys(w http.ResponseWriter, r *http.Request, _ administrator) error {
	var req wire.KeyRotation
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	made, err := a.keys.Rotate(r.Context(), req.Now)
	if err != nil {
		return errors.Join(session.ErrUnavailable, err)
	}
	return httpapi.WriteJSON(w, http.StatusOK, wireKeys(made))
}

func wireKeys(list []keys.Info) wire.Keys {
	out := wire.Keys{Keys: make([]wire.Key, 0, len(list))}
	for _, k := range list {
		out.Keys = append(out.Keys, wire.Key{
			ID: strconv.FormatUint(uint64(k.ID), 10), KeyID: k.KeyID, Use: string(k.Use), Algorithm: k.Algorithm, State: string(k.State),
			CreatedAt: httpapi.Timestamp(k.CreatedAt), ActiveAt: httpapi.Timestamp(k.ActiveAt), RetiredAt: httpapi.Timestamp(k.RetiredAt)})
	}
	return out
}
