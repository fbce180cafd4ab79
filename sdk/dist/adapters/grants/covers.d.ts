/**
 * Whether the granted permission gives the wanted one: the rule of the server, held to the same
 * vectors (`spec/vectors/permissions.json`). A granted `*` stands for any one segment, and as the
 * last segment for one or more: `orders:*` covers `orders:read`, `*` covers everything.
 */
export declare const covers: (granted: string, wanted: string) => boolean;
