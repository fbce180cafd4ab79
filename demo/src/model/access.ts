// Who may do what, as the card "Access" shows it. Pure.

/** A user as `GET /auth/admin/users` tells. */
export interface Member {
  id: string;
  username: string;
  roles: string[];
}

export interface Changes {
  gained: string[];
  lost: string[];
}

/** What one list has that the other has not, in the order of each. */
export function changes(before: readonly string[], after: readonly string[]): Changes {
  return { gained: after.filter((p) => !before.includes(p)), lost: before.filter((p) => !after.includes(p)) };
}

export interface Row {
  member: Member;
  /** One for each role that there is, in order of names. */
  roles: { name: string; held: boolean }[];
}

/** The table of users and roles; the user who looks at it comes last: they hardly change themselves. */
export function table(members: readonly Member[], roles: readonly string[], self?: string): Row[] {
  const names = [...new Set(roles)].sort();
  return members
    .map((member) => ({ member, roles: names.map((name) => ({ name, held: member.roles.includes(name) })) }))
    .sort((a, b) => Number(a.member.id === self) - Number(b.member.id === self) || (a.member.username < b.member.username ? -1 : 1));
}

/** The table after one role was given to a user or taken. */
export function grant(rows: readonly Row[], id: string, role: string, held: boolean): Row[] {
  return rows.map((row) => (row.member.id === id ? { ...row, roles: row.roles.map((r) => (r.name === role ? { ...r, held } : r)) } : row));
}
