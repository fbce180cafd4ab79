const permission = /^[!#-9;-[\]-~]+(:[!#-9;-[\]-~]+)*$/;
/**
 * Whether the granted permission gives the wanted one: the rule of the server, held to the same
 * vectors (`spec/vectors/permissions.json`). A granted `*` stands for any one segment, and as the
 * last segment for one or more: `orders:*` covers `orders:read`, `*` covers everything.
 */
export const covers = (granted, wanted) => {
    if (!permission.test(granted) || !permission.test(wanted))
        return false;
    const g = granted.split(':');
    const w = wanted.split(':');
    for (let i = 0;; i++) {
        const gLast = i === g.length - 1;
        const wLast = i === w.length - 1;
        if (g[i] === '*' && gLast)
            return true;
        // A wanted * at the end stands for longer permissions than the granted one does.
        if (w[i] === '*' && wLast)
            return false;
        if ((g[i] !== '*' && g[i] !== w[i]) || gLast !== wLast)
            return false;
        if (gLast)
            return true;
    }
};
