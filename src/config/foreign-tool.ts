/** Recognises configurations of other gateways, whose every setting would otherwise be a fault of its own. */

/** Another gateway, and settings that only its configuration has at its top. */
const tools: readonly { readonly name: string; readonly marks: readonly string[] }[] = [
  { name: 'LiteLLM', marks: ['model_list', 'litellm_settings', 'general_settings', 'router_settings'] },
  { name: 'Portkey', marks: ['virtual_key', 'virtualKey', 'strategy', 'retry', 'override_params'] },
];

/** What to say of a file that is another gateway's; null: it isn't. */
export function foreignTool(root: unknown): string | null {
  if (typeof root !== 'object' || root === null || 'providers' in root || 'routes' in root) return null;
  const found = tools.find(({ marks }) => marks.some((mark) => Object.hasOwn(root, mark)));
  if (found === undefined) return null;
  return `this is a configuration of ${found.name}: Sidegate's has \`providers\` and \`routes\`; deploy/sidegate.example.yaml shows one, and docs/guides/routing.md says how models lead to providers`;
}
