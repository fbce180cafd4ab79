package wire

// Paths of administration, below the base path. {id} is a user's or a session's
// id, {role} a role's name.
const (
	PathAdminUsers    = "/admin/users"    // GET, POST; /{id}: GET, PATCH; /{id}/password: PUT; /{id}/roles/{role}: PUT, DELETE; /{id}/sessions: DELETE
	PathAdminRoles    = "/admin/roles"    // GET, POST; /{role}: GET, PUT, PATCH, DELETE
	PathAdminSessions = "/admin/sessions" // GET, POST; /{id}: DELETE
	PathAdminKeys     = "/admin/keys"     // GET; /rotate: POST

	// PathGrantsChanged is POST, below PathAdminUsers + "/{id}": the system that
	// keeps the users (--users-url) says [GrantsChange] with the shared secret.
	PathGrantsChanged = "/grants-changed"
)

// Permissions of administration. "admin:*" covers all of them. To write users is
// to decide who people are; what they may do is decided by those who may write
// roles, also for one user.
const (
	PermissionUsersRead     = "admin:users:read"
	PermissionUsersWrite    = "admin:users:write"
	PermissionRolesRead     = "admin:roles:read"
	PermissionRolesWrite    = "admin:roles:write"
	PermissionSessionsRead  = "admin:sessions:read"
	PermissionSessionsWrite = "admin:sessions:write"
	// PermissionSessionsBegin is for applications that sign users in by ways of
	// their own. It is no way to administrators: a session of theirs takes their
	// permissions of administration, too.
	PermissionSessionsBegin = "admin:sessions:begin"
	PermissionKeysRead      = "admin:keys:read"
	PermissionKeysWrite     = "admin:keys:write"
	// PermissionEscalate lets administrators give permissions that they lack, and
	// change those who have them.
	PermissionEscalate = "admin:permissions:escalate"
)

// AdminPermissions returns the permissions of administration.
func AdminPermissions() []string {
	return []string{PermissionUsersRead, PermissionUsersWrite, PermissionRolesRead, PermissionRolesWrite,
		PermissionSessionsRead, PermissionSessionsWrite, PermissionSessionsBegin, PermissionKeysRead, PermissionKeysWrite, PermissionEscalate}
}

// AdminUser is a user of the embedded directory as administrators see it.
type AdminUser struct {
	User
	Disabled      bool     `json:"disabled"`
	Roles         []string `json:"roles"` // sorted
	GrantsVersion int64    `json:"grants_version"`
	CreatedAt     string   `json:"created_at"` // RFC 3339
}

// AdminUsers is one page of users in order of name. Next, if there may be more,
// is the value of after that asks for the next page.
type AdminUsers struct {
	Users []AdminUser `json:"users"`
	Next  string      `json:"next,omitempty"`
}

// NewUser is the body of POST /auth/admin/users.
type NewUser struct {
	Username    string   `json:"username"`
	Password    string   `json:"password"`
	DisplayName string   `json:"display_name,omitempty"`
	Email       string   `json:"email,omitempty"`
	Roles       []string `json:"roles,omitempty"` // must exist
}

// UserChange is the body of PATCH /auth/admin/users/{id}: what is absent stays.
// Disabling a user ends the user's sessions.
type UserChange struct {
	DisplayName *string `json:"display_name,omitempty"`
	Email       *string `json:"email,omitempty"`
	Disabled    *bool   `json:"disabled,omitempty"`
}

// PasswordChange is the body of PUT /auth/admin/users/{id}/password, which ends
// the user's sessions.
type PasswordChange struct {
	Password string `json:"password"`
}

// Role is a name for permissions; the body of POST /auth/admin/roles too.
type Role struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"` // sorted
}

// Roles is the response to GET /auth/admin/roles, in order of name.
type Roles struct {
	Roles []Role `json:"roles"`
}

// RolePermissions is the body of PUT /auth/admin/roles/{role}: what the role
// grants from now on.
type RolePermissions struct {
	Permissions []string `json:"permissions"`
}

// RoleChange is the body of PATCH /auth/admin/roles/{role}. What is removed goes
// first; a wildcard goes only in its own spelling.
type RoleChange struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// AdminSession is a session as administrators see it.
type AdminSession struct {
	Session
	UserID string `json:"user_id"`
}

// AdminSessions is one page of sessions, newest first. Next is as in AdminUsers.
type AdminSessions struct {
	Sessions []AdminSession `json:"sessions"`
	Next     string         `json:"next,omitempty"`
}

// Key is a key of the server, without anything secret.
type Key struct {
	ID        string `json:"id"`
	KeyID     string `json:"kid,omitempty"` // in the JWKS, of a key that signs access tokens
	Use       string `json:"use"`           // "sign" or "mac"
	Algorithm string `json:"algorithm"`
	State     string `json:"state"` // "announced", "active" or "retired"
	CreatedAt string `json:"created_at"`
	ActiveAt  string `json:"active_at"`
	RetiredAt string `json:"retired_at,omitempty"`
}

// Keys is the response to GET /auth/admin/keys (all keys) and POST
// /auth/admin/keys/rotate (those made).
type Keys struct {
	Keys []Key `json:"keys"`
}

// KeyRotation is the body of POST /auth/admin/keys/rotate. Now uses the new keys
// at once instead of announcing them first (after a leak).
type KeyRotation struct {
	Now bool `json:"now,omitempty"`
}

// NewSession is the body of POST /auth/admin/sessions: somebody whom an
// application has identified. UserID or Username says who.
type NewSession struct {
	UserID   string `json:"user_id,omitempty"`
	Username string `json:"username,omitempty"`
	// ClientID is the client that the session is for. Empty: that of the server.
	ClientID string `json:"client_id,omitempty"`
	// AMR and ACR say how the user was identified (RFC 9068 §2.2.1), AuthTime when,
	// in seconds since 1970; zero: now.
	AMR      []string `json:"amr,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	// Delivery is what the response has: DeliveryTicket (also where it is empty) or,
	// for clients that are no browsers, the tokens themselves: DeliveryBody.
	Delivery Delivery `json:"delivery,omitempty"`
}

// Ticket is the response to [NewSession] with DeliveryTicket. A browser redeems it
// once, at POST /auth/login.
type Ticket struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}
