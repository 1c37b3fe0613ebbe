// Stands for an audience measurement tool: it runs only once its purpose is consented to.
document.dispatchEvent(new CustomEvent('demo:script', { detail: 'analytics' }));
