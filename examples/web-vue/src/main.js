import { guardRoutes, tacet } from '@tacet/browser/vue'
import { createApp } from 'vue'
import { createRouter, createWebHashHistory } from 'vue-router'
import App from './App.vue'
import Orders from './Orders.vue'
import SignIn from './SignIn.vue'
import { grants } from './session.js'

const router = createRouter({
  history: createWebHashHistory(),
  routes: [
    { path: '/', component: Orders, meta: { can: true } },
    { path: '/admin', component: { render: () => 'Administration' }, meta: { can: 'orders:write' } },
    { path: '/sign-in', component: SignIn },
    { path: '/forbidden', component: { render: () => 'Not for you' } },
  ],
})
guardRoutes(router, grants)

createApp(App).use(tacet(grants)).use(router).mount('#app')
