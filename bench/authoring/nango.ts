// The help desk with Nango: five actions, each a file of its own in a project, and the provider's entry (nango.yaml).
import { createAction } from 'nango';
import type { ProxyConfiguration } from 'nango';
import * as z from 'zod';

const Ticket = z.object({ id: z.string(), subject: z.string(), status: z.string(), comments: z.number() });
const Contact = z.object({ id: z.string(), name: z.string(), email: z.string() });
const Tickets = z.object({ items: z.array(Ticket), next_cursor: z.string().optional() });
const Contacts = z.object({ items: z.array(Contact), next_cursor: z.string().optional() });
const headers = { 'Acme-Version': '2026-07-01' };

function ticketOf(data: any): z.infer<typeof Ticket> {
    return { id: data.id, subject: data.subject, status: data.status, comments: data.comments_count };
}

export const listTickets = createAction({
    description: 'List tickets, oldest first.',
    version: '1.0.0',
    input: z.object({ status: z.string().optional(), cursor: z.string().optional() }),
    output: Tickets,
    exec: async (nango, input) => {
        const config: ProxyConfiguration = {
            endpoint: '/api/tickets',
            headers,
            params: {
                ...(input.status && { status: input.status }),
                ...(input.cursor && { cursor: input.cursor }),
            },
            retries: 3,
        };
        const response = await nango.get(config);
        return { items: response.data.data.map(ticketOf), next_cursor: response.data.next_cursor ?? undefined };
    },
});

export const getTicket = createAction({
    description: 'Read one ticket.',
    version: '1.0.0',
    input: z.object({ ticket_id: z.string() }),
    output: Ticket,
    exec: async (nango, input) => {
        const endpoint = `/api/tickets/${encodeURIComponent(input.ticket_id)}`;
        const response = await nango.get({ endpoint, headers, retries: 3 });
        return ticketOf(response.data);
    },
});

export const searchContacts = createAction({
    description: 'Find contacts by e-mail address.',
    version: '1.0.0',
    input: z.object({ email: z.string(), cursor: z.string().optional() }),
    output: Contacts,
    exec: async (nango, input) => {
        const response = await nango.get({
            endpoint: '/api/contacts',
            headers,
            params: { email: input.email, ...(input.cursor && { cursor: input.cursor }) },
            retries: 3,
        });
        const items = response.data.data.map((each: any) => ({ id: each.id, name: each.name, email: each.email }));
        return { items, next_cursor: response.data.next_cursor ?? undefined };
    },
});

export const createTicket = createAction({
    description: 'Open a ticket.',
    version: '1.0.0',
    input: z.object({ subject: z.string(), body: z.string().optional() }),
    output: Ticket,
    exec: async (nango, input) => {
        const response = await nango.post({
            endpoint: '/api/tickets',
            headers: { ...headers, 'Idempotency-Key': crypto.randomUUID() },
            data: input,
            retries: 3,
        });
        return ticketOf(response.data);
    },
});

export const closeTicket = createAction({
    description: 'Close a ticket. It cannot be opened again.',
    version: '1.0.0',
    input: z.object({ ticket_id: z.string() }),
    output: Ticket,
    exec: async (nango, input) => {
        const endpoint = `/api/tickets/${encodeURIComponent(input.ticket_id)}/close`;
        const response = await nango.post({ endpoint, headers });
        return ticketOf(response.data);
    },
});
/* The provider's entry:
helpdesk:
    display_name: Help desk
    auth_mode: API_KEY
    proxy:
        base_url: https://api.acme.example
        headers:
            authorization: Bearer ${apiKey}
        retry:
            after: retry-after
*/
